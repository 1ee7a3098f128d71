"""Ranks, local Z_B: each rank sums over its own part of the batch.

The detach scenario with DistributedDataParallel, as one would write it first. Every rank has its
part of each batch, and Z_B, which the post sums over the whole batch, is summed over that part.
Nothing raises and the ranks stay alike, but they train on another loss: the logarithm of a part's
Z_B is not a part of the logarithm of the whole one's.
Run it with `graphlab run --nproc 2 ranks-local`, and hold it against one process with
`graphlab compare ranks-local ranks-global`.

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

lab.finish(args, G.module)
lab.leave()
