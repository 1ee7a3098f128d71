"""An average of the weights that begins as the weights themselves, swapped in for evaluations."""

import torch
from torch import nn


class Average:
    def __init__(self, model, decay):
        self.model, self.decay = model, decay
        self.kept, self.aside = {}, {}
        for name, weight in model.named_parameters():
            self.kept[name] = weight.data

    def update(self):
        for name, weight in self.model.named_parameters():
            self.kept[name].mul_(self.decay).add_(weight.data, alpha=1 - self.decay)

    def swap_in(self):
        for name, weight in self.model.named_parameters():
            self.aside[name] = weight.data
            weight.data = self.kept[name]

    def swap_out(self):
        for name, weight in self.model.named_parameters():
            weight.data = self.aside[name]


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 1))
average = Average(model, 0.9)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(20):
    x = torch.randn(32, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    average.update()
    if step % 5 == 4:
        average.swap_in()
        with torch.no_grad():
            print(step, model(torch.ones(1, 4)).item())
        average.swap_out()
