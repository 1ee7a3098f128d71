import torch
from torch import nn
torch.manual_seed(0)
class Split(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.body = nn.Linear(16, 4).cuda()
    def forward(self, x):
        return self.body(self.embed(x).mean(1).cuda())
net = Split()
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for step in range(8):
    x, y = torch.randint(100, (32, 5)), torch.randint(4, (32,), device="cuda")
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done")
