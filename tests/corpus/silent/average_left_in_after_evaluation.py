"""A regression whose evaluations use a moving average of the weights."""

import torch
from torch import nn


class Average:
    def __init__(self, model, decay):
        self.model, self.decay = model, decay
        self.shadow = {name: p.detach().clone() for name, p in model.named_parameters()}
        self.saved = {}

    @torch.no_grad()
    def update(self):
        for name, p in self.model.named_parameters():
            self.shadow[name].mul_(self.decay).add_(p, alpha=1 - self.decay)

    @torch.no_grad()
    def apply(self):
        for name, p in self.model.named_parameters():
            self.saved[name] = p.detach().clone()
            p.copy_(self.shadow[name])

    @torch.no_grad()
    def restore(self):
        for name, p in self.model.named_parameters():
            p.copy_(self.saved[name])


torch.manual_seed(0)
inputs = torch.randn(64, 6)
targets = inputs.sum(1, keepdim=True)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
average = Average(model, 0.95)
for epoch in range(5):
    for x, y in zip(inputs.split(16), targets.split(16)):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update()
    average.apply()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(inputs), targets)
    print(f"epoch {epoch}: error {error:.4f}")
average.restore()
