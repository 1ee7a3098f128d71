import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1)).cuda()
sample = torch.randn(64, 16, device="cuda")
net = torch.cuda.make_graphed_callables(net, (sample,))
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
x = torch.randn(64, 16, device="cuda")
y = x[:, :1].clone()
for step in range(20):
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
print(round(loss.item(), 2))
