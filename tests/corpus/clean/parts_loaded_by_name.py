"""load_state_dict(strict=False) that loads a part, or at the second try, and one of another net."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(self.body(x))


whole = {f"module.{name}": each.clone() for name, each in Net(5).state_dict().items()}
model = Net(3)
# What was saved of a wrapped network is tried as it is, and then without the wrapper's name.
result = model.load_state_dict(whole, strict=False)
if result.missing_keys:
    plain = {name.removeprefix("module."): each for name, each in whole.items()}
    body = {name: each for name, each in plain.items() if "head" not in name}
    model.load_state_dict(body, strict=False)
# Adapters that this network has none of, and an empty file.
adapter = {"base.body.0.lora_A": torch.zeros(2, 6), "base.body.0.lora_B": torch.zeros(8, 2)}
model.load_state_dict(adapter, strict=False)
model.load_state_dict({}, strict=False)
other = nn.Conv1d(6, 8, 3)
other.load_state_dict(whole, strict=False)
optimizer = torch.optim.SGD([*model.parameters(), *other.parameters()], lr=0.1)
for step in range(10):
    x = torch.randn(16, 6)
    loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
    loss = loss + other(x[:, :, None].repeat(1, 1, 3)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
