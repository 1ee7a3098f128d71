"""Inner steps on the trained part of a model, and a penalty through attention."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 8).requires_grad_(False)
        self.head = nn.Linear(8, 8)

    def forward(self, x):
        h = self.head(torch.relu(self.encoder(x))).view(2, 3, 1, 8)
        with sdpa_kernel(SDPBackend.MATH):
            return F.scaled_dot_product_attention(h, h, h).flatten(1)


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
for step in range(8):
    x = torch.randn(6, 6, requires_grad=True)
    losses = F.mse_loss(model(x), torch.zeros(2, 24), reduction="none")
    asked = [p for p in model.parameters() if p.requires_grad]
    grads = torch.autograd.grad(losses, asked, grad_outputs=torch.rand_like(losses), retain_graph=True)
    (g,) = torch.autograd.grad(losses.mean(), x, create_graph=True)
    optimizer.zero_grad()
    (losses.mean() + g.pow(2).sum()).backward()
    optimizer.step()
print(len(grads))
