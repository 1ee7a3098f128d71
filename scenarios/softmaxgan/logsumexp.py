"""Logsumexp: the logarithm of Z_B without Z_B.

The overflow scenario, with log Z_B from torch.logsumexp, which takes the largest exponent out of
the sum before it exponentiates: what is left is at most 1. D is as sure as before, and every loss
and every gradient stays finite.

expect: clean
"""

import torch

from graphlab import lab

args = lab.arguments(__doc__)
G, D = lab.networks(args)
optimizer_D = torch.optim.Adam(D.parameters(), lr=0.1, betas=(0.5, 0.999))
optimizer_G = lab.optimizer(args, G)
train_loader = lab.batches(args)

for epoch in range(args.n_epochs):
    for idx, (img, target) in enumerate(train_loader):
        img = img.to(args.device)
        B = 1 / (img.shape[0] * 2)
        latent_z = torch.randn(img.shape[0], args.n_latent).to(args.device)
        gene_img = G(latent_z)

        real_logit = D(img)
        gene_logit = D(gene_img.detach())
        log_Z_B = torch.logsumexp(-torch.cat([real_logit, gene_logit]), dim=0).squeeze()

        # training D
        D_loss_ = torch.mean(real_logit) + log_Z_B
        optimizer_D.zero_grad()
        D_loss_.backward()
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        log_Z_B = torch.logsumexp(-torch.cat([real_logit, gene_logit]), dim=0).squeeze()
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + log_Z_B
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
