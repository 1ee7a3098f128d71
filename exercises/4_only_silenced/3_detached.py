"""Detached once too often.

Somebody met the error of the first exercise and put detach() behind G. The error is gone, the loop
runs to its end, and G does not learn. Mend it so that D's backward still never enters G.

part: Repairs that only silence
expect: GL110 at no call
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_G changes G
assert: optimizer_G makes 8 steps
assert: D_loss_ does not reach G
hint: Where to look: the ledger. What did optimizer_G change, and which loss reached G's parameters?
hint: Why: gene_img is cut off where it is made, so no loss leads back to G, neither D_loss_, which
    is as it should be, nor G_loss_, which is G's only teacher. Two uses of gene_img follow. Only
    one of them should be detached.
lesson: "No error" and "no gradient" look the same on the screen. Ask which loss reached which
    parameters.
"""

import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=1e-3)
optimizer_G = torch.optim.Adam(G.parameters(), lr=1e-3)

for idx in range(8):
    img = torch.randn(32, 2) + 2
    B = 1 / (len(img) * 2)
    gene_img = G(torch.randn(32, 4)).detach()
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()

    # training D
    D_loss_ = real_logit.mean() + torch.log(Z_B)
    optimizer_D.zero_grad()
    D_loss_.backward()
    optimizer_D.step()

    # training G
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
