import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
torch.manual_seed(0)
blocks = nn.ModuleList(nn.Sequential(nn.Linear(32, 32), nn.Dropout(0.2), nn.ReLU()) for _ in range(4)).cuda()
optimizer = torch.optim.Adam(blocks.parameters(), 1e-3, capturable=True)
for step in range(8):
    x = torch.randn(16, 32, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False)
        loss = x.float().square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done")
