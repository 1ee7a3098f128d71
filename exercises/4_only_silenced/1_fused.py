"""A faster optimizer, and the error is gone.

The loop of the first exercise with fused=True, which somebody on a forum said would help. PyTorch
raises nothing any more. Is G trained on the right gradient? Mend the loop.

part: Repairs that only silence
expect: GL105 at `G_loss_.backward()`
assert: optimizer_D applies the gradient of D_loss_ alone
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_G changes G
assert: optimizer_G makes 4 steps
hint: Where to look: take fused=True away and see what PyTorch says then. The order of the lines
    is what it was.
hint: Why: PyTorch knows that a saved tensor was overwritten by its version counter alone. The
    fused kernel writes the weights and leaves the counter as it is, so backward mixes the old
    activations with the new weights. The gradient belongs to no D that ever was. fused=True may
    stay once G's loss is computed from the updated D.
lesson: The version check is a smoke alarm. fused=True took out its battery; the fire was the
    order of the lines.
"""

import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=1e-2, fused=True)
optimizer_G = torch.optim.Adam(G.parameters(), lr=1e-2, fused=True)

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
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
