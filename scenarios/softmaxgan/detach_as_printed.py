"""Detach, as printed: fresh logits, but nothing is detached.

Fix 1 of the post as its code stands. The logits are made anew for G, and two ties to D's turn
remain: Z_B still comes from the old logits, and gene_img still hangs on the graph that
D_loss_.backward() went through. That call freed the graph's saved tensors, so
G_loss_.backward() finds them gone. Adding retain_graph=True only brings on the naive error.

expect: GL002 at `G_loss_.backward()`
repaired by: detach
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
        D_loss_.backward()
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
