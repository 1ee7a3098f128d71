"""Naive, fused: the same loop, and PyTorch raises nothing.

The naive loop with one change: Adam(fused=True). Its kernel writes D's weights without moving
their version counters, which are all that autograd looks at before it uses a saved tensor. So
G_loss_.backward() mixes activations of the old D with weights of the new one, and the loop
trains G on a wrong gradient. No error is no proof.

expect: GL105 at `G_loss_.backward()`
expect[adam]: GL001 at `G_loss_.backward()`
expect[sgd]: GL001 at `G_loss_.backward()`
repaired by: recompute, detach
"""

import torch

from graphlab import lab

args = lab.arguments(__doc__, optimizer="adam-fused")
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
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
