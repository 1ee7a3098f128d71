"""Meta-learning whose inner step writes to the list of the weights that it was given."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 1))
meta_opt = torch.optim.Adam(model.parameters(), lr=1e-3)
inner_lr = 0.1


def forward(x, w):
    h = torch.tanh(x @ w[0].t() + w[1])
    return h @ w[2].t() + w[3]


for it in range(10):
    meta_opt.zero_grad()
    meta_loss = 0.0
    for task in range(3):
        a = torch.rand(1) * 4
        xs, xq = torch.rand(10, 1), torch.rand(10, 1)
        weights = list(model.parameters())
        inner = ((forward(xs, weights) - a * xs) ** 2).mean()
        grads = torch.autograd.grad(inner, weights, create_graph=True)
        for w, g in zip(weights, grads):
            w -= inner_lr * g
        meta_loss = meta_loss + ((forward(xq, weights) - a * xq) ** 2).mean()
    meta_loss.backward()
    meta_opt.step()
    print(it, meta_loss.item())
