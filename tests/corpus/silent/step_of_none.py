"""An optimizer in a wrapper whose step hands its closure on."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


class Wrapper:
    def step(self, closure=None):
        return optimizer.step(closure)


wrapper = Wrapper()
for step in range(12):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    loss.backward()
    wrapper.step()
print(f"{loss.item():.4f}")
