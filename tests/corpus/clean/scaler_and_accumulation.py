"""Mixed precision with accumulation: unscaled once, clipped, stepped."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
body, head = nn.Linear(6, 16), nn.Linear(16, 3)
optimizers = [
    torch.optim.AdamW(body.parameters(), lr=1e-3),
    torch.optim.SGD(head.parameters(), lr=1e-1),
]
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14, growth_interval=4)
ACCUMULATE = 2
for i in range(24):
    x = torch.randn(16, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head(torch.relu(body(x)))
    loss = F.cross_entropy(logits.float(), x[:, :3].argmax(1)) / ACCUMULATE
    scaler.scale(loss).backward()
    if i % ACCUMULATE == ACCUMULATE - 1:
        for optimizer, net in zip(optimizers, (body, head)):
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(optimizer)
        scaler.update()
        for optimizer in optimizers:
            optimizer.zero_grad()
print(f"loss {loss.item() * ACCUMULATE:.3f}")
