"""Recompute, as printed: fresh logits, stale Z_B.

Fix 2 of the post as printed. Both logits are made anew after D's step, but log(Z_B) still
reaches back to the old ones, and through them to D's weights as they were. Every term of a
loss has to come from the pass it is to be differentiated through.

expect: GL001 at `G_loss_.backward()`
expect[adam-fused]: GL105 at `G_loss_.backward()`
repaired by: recompute
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

        # training D
        D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
        optimizer_D.zero_grad()
        D_loss_.backward(retain_graph=True)
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
