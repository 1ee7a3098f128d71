import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 4)).cuda()
optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
scaler = torch.amp.GradScaler("cuda")
every = 4
for step in range(16):
    x, y = torch.randn(8, 16, device="cuda"), torch.randint(4, (8,), device="cuda")
    with torch.autocast("cuda", dtype=torch.float16):
        loss = nn.functional.cross_entropy(net(x), y) / every
    scaler.scale(loss).backward()
    if (step + 1) % every == 0:
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
print("done")
