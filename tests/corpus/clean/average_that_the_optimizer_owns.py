"""The optimizer is given all of a module, with the average of a part of it that nothing trains."""

import copy

import torch
from torch import nn

torch.manual_seed(0)


class Momentum(nn.Module):
    def __init__(self):
        super().__init__()
        self.online = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 6))
        self.target = copy.deepcopy(self.online)
        self.predictor = nn.Linear(6, 6)

    def update_target(self, rate=0.9):
        for slow, fast in zip(self.target.parameters(), self.online.parameters()):
            slow.data = rate * slow.data + (1 - rate) * fast.data

    def forward(self, one, other):
        with torch.no_grad():
            wanted = self.target(other)
        return 2 - 2 * nn.functional.cosine_similarity(self.predictor(self.online(one)), wanted)


model = Momentum()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(20):
    x = torch.randn(32, 8)
    loss = model(x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.update_target()
print(f"{loss.item():.4f}")
