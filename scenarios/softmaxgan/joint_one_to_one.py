"""Joint, one to one: the post's "only black images".

Fix 3 of the post with one step of D to one of G. Now every step of optimizer_G applies the
sum of both losses' gradients, and no iteration in between makes good for it. D_loss_ drives G
away from the digits until the two gradients cancel, and there G stays: its pictures are noise.

expect: GL101 at `optimizer_G.step()`
repaired by: joint-isolated, detach
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
        D_loss_.backward(retain_graph=True)
        G_loss_.backward()
        optimizer_D.step()
        optimizer_G.step()

lab.finish(args, G)
