import torch
from torch import nn
torch.manual_seed(0)
net = nn.DataParallel(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))).cuda()
optimizer = torch.optim.SGD(net.parameters(), 0.1)
for step in range(8):
    loss = net(torch.randn(16, 8).cuda()).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done")
