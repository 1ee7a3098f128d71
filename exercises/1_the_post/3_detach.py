"""The detach that was not there.

The first repair of the post says that it uses detach, and the code it prints has none. It also
frees a graph that it needs again. Mend it as the text means it: D learns from images that are cut
off from G, so that its backward never enters G, and G's loss is computed anew.

part: The post
expect: GL002 at `G_loss_.backward()`
assert: optimizer_D applies the gradient of D_loss_ alone
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_G changes G
assert: optimizer_G makes 4 steps
assert: D_loss_ does not reach G
hint: Where to look: which summand of G_loss_ was computed before D_loss_.backward()? And at which
    line does the path from D_loss_ back to G begin?
hint: Why: backward frees the saved tensors as it goes, so nothing of D_loss_'s graph can be used
    again; Z_B still belongs to it. And D_loss_ reaches G through gene_img: those gradients are
    computed and thrown away. gene_img.detach() has the same values and no graph. It belongs where
    D is trained, and nowhere else: G learns through D, by way of gene_img as it is.
lesson: detach() cuts one path. Cut where a gradient is not wanted (D's step), never where it is
    the only teacher (G's step).
"""

import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=1e-3)
optimizer_G = torch.optim.Adam(G.parameters(), lr=1e-3)

for idx in range(4):
    img = torch.randn(32, 2) + 2
    B = 1 / (len(img) * 2)
    gene_img = G(torch.randn(32, 4))
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
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
