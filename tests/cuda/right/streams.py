import torch
from torch import nn
torch.manual_seed(0)
a, b = nn.Linear(64, 64).cuda(), nn.Linear(64, 64).cuda()
optimizer = torch.optim.SGD([*a.parameters(), *b.parameters()], 0.1)
side = torch.cuda.Stream()
x = torch.randn(32, 64, device="cuda")
for step in range(10):
    optimizer.zero_grad()
    side.wait_stream(torch.cuda.current_stream())
    one = a(x)
    with torch.cuda.stream(side):
        two = b(x)
    torch.cuda.current_stream().wait_stream(side)
    two.record_stream(torch.cuda.current_stream())
    loss = (one - two).square().mean()
    loss.backward()
    optimizer.step()
print(round(loss.item(), 3))
