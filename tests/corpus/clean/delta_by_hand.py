import torch
from torch import nn


def attack(net, x, labels, radius=0.1, steps=3):
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        nn.functional.cross_entropy(net(x + delta), labels).backward()
        with torch.no_grad():
            delta += 0.03 * delta.grad.sign()
            delta.clamp_(-radius, radius)
            delta.grad.zero_()
    return (x + delta).detach()


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(8):
    x = torch.randn(16, 6)
    labels = (x.sum(1) > 0).long()
    worst = attack(net, x, labels)
    loss = nn.functional.cross_entropy(net(worst), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
