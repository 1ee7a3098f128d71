"""One forward pass, two losses.

SoftmaxGAN as the post first wrote it. D is trained, then G, and both losses come from the same
logits. PyTorch stops at G_loss_.backward(). Mend the loop so that G is trained on what the D of
that moment, which has just been updated, says. Keep the names of the variables.

part: The post
expect: GL001 at `G_loss_.backward()`
assert: optimizer_D applies the gradient of D_loss_ alone
assert: optimizer_G applies the gradient of G_loss_ alone
assert: optimizer_G changes G
assert: optimizer_G makes 4 steps
hint: Where to look: between the two backward calls. Which line changes D's weights after
    real_logit and gene_logit were computed, and before G_loss_ goes back through them?
hint: Why: the gradient of a linear layer with respect to its input is grad_output times its
    weight, so G's gradient needs D's weights. The graph keeps no copy of them, only the tensors
    themselves and their version. optimizer_D.step() writes new values into them: version 1
    became 2. retain_graph=True keeps the graph alive, not the old values. So ask the new D
    again, and everything that was computed from its answers with it.
lesson: A graph is only good for the weights that it was computed with. First D, then logits from
    the updated D, and Z_B from those logits.
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
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
