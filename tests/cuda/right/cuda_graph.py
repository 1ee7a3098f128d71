import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1)).cuda()
optimizer = torch.optim.SGD(net.parameters(), 0.05)
static_x, static_y = torch.randn(64, 16, device="cuda"), torch.randn(64, 1, device="cuda")
side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(net(static_x), static_y)
        loss.backward()
        optimizer.step()
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
optimizer.zero_grad(set_to_none=True)
with torch.cuda.graph(graph):
    static_loss = nn.functional.mse_loss(net(static_x), static_y)
    static_loss.backward()
    optimizer.step()
for step in range(20):
    static_x.copy_(torch.randn(64, 16, device="cuda"))
    static_y.copy_(static_x[:, :1])
    graph.replay()
print(round(static_loss.item(), 2))
