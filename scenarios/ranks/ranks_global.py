"""Ranks, global Z_B: one sum over the batches of all ranks.

The ranks-local scenario with one line more for each loss: lab.sum_over_ranks is an all_reduce that
autograd knows, in graphlab/lab/ranks.py. Its backward sums as well, so that after averaging every
rank has the gradient that one process with the whole batch would have, to rounding.
torch.distributed.all_reduce in its place would give Z_B the same value and half of its gradient:
autograd does not see it (GL302).

ranks: 2
expect: clean
"""

import torch
from torch.nn.parallel import DistributedDataParallel

from graphlab import lab

args = lab.arguments(__doc__)
lab.join()
G, D = lab.networks(args)
optimizer_D = lab.optimizer(args, D)
optimizer_G = lab.optimizer(args, G)
G, D = DistributedDataParallel(G), DistributedDataParallel(D)
train_loader = lab.batches(args)

for epoch in range(args.n_epochs):
    for idx, (img, target) in enumerate(train_loader):
        latent_z = lab.share(torch.randn(img.shape[0], args.n_latent)).to(args.device)
        img = lab.share(img).to(args.device)
        B = 1 / (img.shape[0] * 2)
        gene_img = G(latent_z)

        # training D, on images that are detached from G
        real_logit = D(img)
        gene_logit = D(gene_img.detach())
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
        Z_B = lab.sum_over_ranks(Z_B)
        D_loss_ = torch.mean(real_logit) + torch.log(Z_B)
        optimizer_D.zero_grad()
        D_loss_.backward()
        optimizer_D.step()

        # training G
        real_logit = D(img)
        gene_logit = D(gene_img)
        Z_B = torch.sum(torch.exp(-real_logit)) + torch.sum(torch.exp(-gene_logit))
        Z_B = lab.sum_over_ranks(Z_B)
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G.module)
lab.leave()
