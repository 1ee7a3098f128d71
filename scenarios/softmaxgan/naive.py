"""Naive: D and G share one forward pass.

D is trained first, and G's loss then goes back through the logits D gave before its step. But
optimizer_D.step() changes D's weights in place, and those very weights were saved for G's
backward. The gradient they would give belongs to no D that ever was, so PyTorch stops.
retain_graph=True keeps the saved tensors alive; it does not keep them unchanged.

expect: GL001 at `G_loss_.backward()`
expect[adam-fused]: GL105 at `G_loss_.backward()`
repaired by: recompute, detach, joint-isolated
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
        G_loss_ = torch.sum(real_logit) * B + torch.sum(gene_logit) * B + torch.log(Z_B)
        optimizer_G.zero_grad()
        G_loss_.backward()
        optimizer_G.step()

lab.finish(args, G)
