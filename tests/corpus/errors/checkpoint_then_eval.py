"""Validation between the loss and its backward."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 6)
        self.noise = nn.Linear(6, 6)
        self.head = nn.Linear(6, 3)

    def encode(self, x):
        h = torch.tanh(self.encoder(x))
        if self.training:
            h = h + 0.1 * torch.tanh(self.noise(h))
        return h

    def forward(self, x):
        return self.head(checkpoint(self.encode, x, use_reentrant=False))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(0)
model = Tagger()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(12, 6), torch.randint(3, (12,))
for step in range(3):
    model.train()
    loss = F.cross_entropy(model(x), y)
    print(step, accuracy(model, x, y))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
