"""Only black images.

The third repair of the post, at one step of D to one of G. No error comes, and the post reports
that nothing but black images did. Both backwards add into the same .grad, so each optimizer
applies the gradients of both losses. Mend it: each network gets the gradient of its own loss.

part: The post
expect: GL101 at `optimizer_G.step()`
assert: optimizer_D applies the gradient of D_loss_ alone
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_D changes D
assert: optimizer_G changes G
assert: optimizer_G makes 20 steps
hint: Where to look: the two backward calls. Which parameters does each of them write into? The
    ledger in the report says how much of what optimizer_G applied came from which loss.
hint: Why: D_loss_ wants D to tell G's images from real ones, and its gradient in G says how to
    make them easier to tell. That is the opposite of what G_loss_ wants. Added up, the two all but
    cancel, and G learns nothing. backward(inputs=...) writes into the named parameters only.
lesson: .grad is a sum over all backwards since the last zero_grad(). An optimizer applies
    whatever is in it, no matter whose loss put it there.
"""

import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=2e-2)
optimizer_G = torch.optim.Adam(G.parameters(), lr=2e-2)

for idx in range(20):
    img = torch.randn(32, 2) + 2
    B = 1 / (len(img) * 2)
    gene_img = G(torch.randn(32, 4))
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()

    D_loss_ = real_logit.mean() + torch.log(Z_B)
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)

    optimizer_D.zero_grad()
    optimizer_G.zero_grad()
    D_loss_.backward(retain_graph=True)
    G_loss_.backward()
    optimizer_D.step()
    optimizer_G.step()
