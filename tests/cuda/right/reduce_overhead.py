import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 1)).cuda()
fast = torch.compile(net, mode="reduce-overhead")
optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
x, y = torch.randn(64, 32, device="cuda"), torch.randn(64, 1, device="cuda")
for step in range(10):
    torch.compiler.cudagraph_mark_step_begin()
    loss = nn.functional.mse_loss(fast(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 2))
