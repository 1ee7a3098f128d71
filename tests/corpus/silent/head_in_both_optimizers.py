"""Fine-tuning: a small rate for the model, a large one for its new head."""

import torch
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 24), nn.ReLU())
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(0)
model = Model()
opt_body = torch.optim.Adam(model.parameters(), lr=1e-4)
opt_head = torch.optim.Adam(model.head.parameters(), lr=1e-2)
for step in range(16):
    x = torch.randn(32, 6)
    loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
    opt_body.zero_grad()
    opt_head.zero_grad()
    loss.backward()
    opt_body.step()
    opt_head.step()
print(f"loss {loss.item():.3f}")
