import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(32, 256), nn.Tanh(), nn.Linear(256, 32)).cuda()
optimizer = torch.optim.SGD(net.parameters(), 0.01)
for step in range(6):
    x = torch.randn(16, 32, device="cuda")
    with torch.autograd.graph.save_on_cpu(pin_memory=True):
        loss = (net(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    net.cpu()
    net.cuda()
print("done")
