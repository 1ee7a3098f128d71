import copy

import torch
from torch import nn

torch.manual_seed(5)
q = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))
q_target = copy.deepcopy(q)
optimizer = torch.optim.Adam([*q.parameters(), *q_target.parameters()], lr=1e-3)
memory = [
    {
        "obs": torch.randn(32, 4),
        "action": torch.randint(0, 2, (32, 1)),
        "reward": torch.randn(32),
        "next_obs": torch.randn(32, 4),
    }
    for _ in range(6)
]

for epoch in range(3):
    total = 0.0
    for batch in memory:
        value = q(batch["obs"]).gather(1, batch["action"]).squeeze(1)
        best = q_target(batch["next_obs"]).max(dim=1).values
        target = batch["reward"] + 0.99 * best
        loss = nn.functional.smooth_l1_loss(value, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, round(total / len(memory), 4))
