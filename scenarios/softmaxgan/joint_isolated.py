"""Joint, isolated: one forward pass, and each loss to its own network.

The one-to-one loop with one change: inputs= names the leaves a backward may write to. D_loss_
fills D's gradients and no others, G_loss_ fills G's, and both backwards run before either
step, so nothing is stale. The very loop that gave noise learns digits, on a single forward
pass.

expect: clean
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

        optimizer_D.zero_grad()
        optimizer_G.zero_grad()
        D_loss_.backward(retain_graph=True, inputs=list(D.parameters()))
        G_loss_.backward(inputs=list(G.parameters()))
        optimizer_D.step()
        optimizer_G.step()

lab.finish(args, G)
