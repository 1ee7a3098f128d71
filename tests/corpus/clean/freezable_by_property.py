"""Right: a module whose requires_grad is a property that freezes and thaws its parameters."""

import torch
from torch import nn


class Freezable(nn.Sequential):
    @property
    def requires_grad(self):
        return all(p.requires_grad for p in self.parameters())

    @requires_grad.setter
    def requires_grad(self, value):
        for p in self.parameters():
            p.requires_grad = value


if __name__ == "__main__":
    torch.manual_seed(9)
    body = Freezable(nn.Linear(6, 12), nn.ReLU())
    head = nn.Linear(12, 1)
    body.requires_grad = False
    optimizer = torch.optim.SGD([*body.parameters(), *head.parameters()], lr=0.05)
    for step in range(16):
        if step == 8:
            body.requires_grad = True
        x = torch.randn(16, 6)
        loss = (head(body(x)) - x.mean(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
