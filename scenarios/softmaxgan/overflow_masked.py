"""Overflow masked: torch.where hides the infinite exponentials, and only from the forward.

The overflow scenario with a mask around each exponential. Every loss is finite now. But backward
goes through both branches of torch.where: the one not taken gets the gradient 0, times the
exponential's slope, which is infinite, and 0 times infinity is NaN. A mask must make the input of
the exponential safe, not its result; here logsumexp needs none.

expect: GL202 at `D_loss_.backward()`
repaired by: logsumexp
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
        real_exp = torch.where(real_logit > -80, torch.exp(-real_logit), 0)
        gene_exp = torch.where(gene_logit > -80, torch.exp(-gene_logit), 0)
        Z_B = torch.sum(real_exp) + torch.sum(gene_exp)

        # training D
        D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
        optimizer_D.zero_grad()
        D_loss_.backward()
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        real_exp = torch.where(real_logit > -80, torch.exp(-real_logit), 0)
        gene_exp = torch.where(gene_logit > -80, torch.exp(-gene_logit), 0)
        Z_B = torch.sum(real_exp) + torch.sum(gene_exp)
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
