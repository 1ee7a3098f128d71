"""Overflow: Z_B as a sum of exponentials, with a D that is too sure.

D trains with a hundred times its usual learning rate, so that its logits leave the range of a
float's exponential within a few steps: exp(89) is infinite. Z_B is then infinite too, and the
gradient of a logit whose exponential overflowed is infinity over infinity. One step later every
parameter of D is NaN, and no error is raised. The logarithm of Z_B is an ordinary number all the
while: the logsumexp scenario computes it without Z_B.

expect: GL201 at `optimizer_D.step()`
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
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))

        # training D
        D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
        optimizer_D.zero_grad()
        D_loss_.backward()
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
