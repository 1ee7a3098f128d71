import torch
from torch import nn


def make():
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))


def fit(net, steps):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        x = torch.randn(32, 6)
        loss = (net(x) - x[:, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.requires_grad_(False)


torch.manual_seed(0)
teacher = fit(make(), 40)
student = make()
optimizer = torch.optim.SGD(student.parameters(), lr=0.05)
for step in range(20):
    x = torch.randn(32, 6)
    loss = (student(x) - teacher(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    # It is drawn to the teacher's weights as well as to what the teacher says.
    with torch.no_grad():
        for s, t in zip(student.parameters(), teacher.parameters(), strict=True):
            s.lerp_(t, 0.02)
print(f"loss {loss.item():.4f}")
