"""A classifier whose attention weights are shown for one batch of the validation."""

import torch
from torch import nn

torch.manual_seed(1)


class Pooling(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.score, self.out = nn.Linear(size, 1), nn.Linear(size, 2)

    def forward(self, x):
        self.weights = self.score(x).squeeze(-1).softmax(1)
        return self.out((self.weights.unsqueeze(-1) * x).sum(1))


def show(model, x):
    model.eval()
    model(x)
    rows = model.weights.numpy()
    for row in rows:
        print(" ".join(f"{each:.2f}" for each in row))


model = Pooling(6)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(4):
    x = torch.randn(8, 5, 6)
    loss = nn.functional.cross_entropy(model(x), (x.mean((1, 2)) > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
show(model, torch.randn(3, 5, 6))
