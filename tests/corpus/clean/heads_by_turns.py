"""One optimizer for each head; all of them step, those of idle heads with no gradient."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
trunk = nn.Linear(5, 16)
heads = nn.ModuleDict({name: nn.Linear(16, 2) for name in ("size", "color", "shape")})
optimizers = {name: torch.optim.Adam(head.parameters(), lr=1e-2) for name, head in heads.items()}
optimizers["trunk"] = torch.optim.Adam(trunk.parameters(), lr=1e-2)
for step in range(18):
    task = ("size", "color", "shape")[step % 3]
    x = torch.randn(16, 5)
    loss = F.cross_entropy(heads[task](torch.relu(trunk(x))), (x[:, step % 3] > 0).long())
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers.values():
        optimizer.step()
print(f"loss {loss.item():.3f}")
