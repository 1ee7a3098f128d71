import torch
from torch import nn
torch.manual_seed(0)
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(32, 64), nn.Linear(64, 32)
    def forward(self, x):
        return x + self.b(nn.functional.gelu(self.a(x)))
net = nn.Sequential(Block(), Block(), nn.Linear(32, 1)).cuda()
fast = torch.compile(net)
optimizer = torch.optim.AdamW(net.parameters(), 1e-3)
x, y = torch.randn(64, 32, device="cuda"), torch.randn(64, 1, device="cuda")
for step in range(10):
    loss = nn.functional.mse_loss(fast(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 2))
