"""A mean teacher that nobody froze; gradients of the student are clipped and reported by hand."""

import copy

import torch
from torch import nn

torch.manual_seed(3)
student = nn.Sequential(nn.Linear(5, 10), nn.Tanh(), nn.Linear(10, 2))
teacher = copy.deepcopy(student)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for step in range(12):
    x = torch.randn(16, 5)
    with torch.no_grad():
        wanted = teacher(x + 0.1 * torch.randn_like(x))
    loss = (student(x) - wanted).square().mean() + 0.1 * student(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    norms = [p.grad.norm().item() for p in student.parameters()]
    optimizer.step()
    with torch.no_grad():
        for p, q in zip(teacher.parameters(), student.parameters(), strict=True):
            p.mul_(0.95).add_(q, alpha=0.05)
print(f"{loss.item():.4f} {max(norms):.4f}")
