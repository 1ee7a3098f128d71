"""The logits anew, and still the same error.

The second repair of the post, as its code is printed: both logits are computed again from the
updated D. PyTorch stops at the same line as before. Something old is still in G_loss_. Find it.

part: The post
expect: GL001 at `G_loss_.backward()`
assert: optimizer_D applies the gradient of D_loss_ alone
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_G changes G
assert: optimizer_G makes 4 steps
hint: Where to look: the line of G_loss_ has three summands. From which line does each of them get
    its values, and did that line run before or after optimizer_D.step()?
hint: Why: backward goes through everything that the loss was computed from. real_logit and
    gene_logit are new, but Z_B is still the number that the old logits gave, and its graph leads
    through D's weights as they were. One old summand is enough.
lesson: Whatever goes into the loss has to be recomputed, not only what is named in the error.
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
    D_loss_.backward(retain_graph=True)
    optimizer_D.step()

    # training G
    real_logit = D(img)
    gene_logit = D(gene_img)
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
