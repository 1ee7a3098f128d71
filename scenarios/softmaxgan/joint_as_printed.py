"""Joint, as printed: one backward too many.

Fix 3 of the post as printed. Every second iteration trains both networks, and the next `if`
was meant to train G alone in the others. But idx % 1 is 0 for every idx, so at idx 1 both
branches run and G_loss_.backward() goes a second time through a graph that its first call
freed.

expect: GL002 at `G_loss_.backward()` in iteration 1
repaired by: joint-isolated
"""

import torch

from graphlab import lab

args = lab.arguments(__doc__)
G, D = lab.networks(args)
optimizer_D = lab.optimizer(args, D)
optimizer_G = lab.optimizer(args, G)
train_loader = lab.batches(args)

for epoch in range(args.n_epochs):
    for idx, (img, target) in enumerate(train_loader):
        img = img.to(args.device)
        B = 1 / (img.shape[0] * 2)
        latent_z = torch.randn(img.shape[0], args.n_latent).to(args.device)
        gene_img = G(latent_z)

        real_logit = D(img)
        gene_logit = D(gene_img)
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
        D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)

        if idx % 2 == 1:
            optimizer_D.zero_grad()
            optimizer_G.zero_grad()
            D_loss_.backward(retain_graph=True)
            G_loss_.backward()
            optimizer_D.step()
            optimizer_G.step()

        if idx % 1 == 0:
            optimizer_G.zero_grad()
            G_loss_.backward()
            optimizer_G.step()

lab.finish(args, G)
