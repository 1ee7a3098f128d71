"""A student learns from the moving average of itself, which is in eval mode."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class MeanTeacher:
    def __init__(self, student, decay=0.9):
        self.student, self.decay = student, decay
        self.teacher = copy.deepcopy(student).requires_grad_(False).eval()

    def follow(self):
        with torch.no_grad():
            for t, s in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                t.mul_(self.decay).add_(s, alpha=1 - self.decay)

    def loss(self, x):
        with torch.no_grad():
            wanted = self.teacher(x).softmax(1)
        noisy = x + 0.1 * torch.randn_like(x)
        return F.mse_loss(self.student(noisy).softmax(1), wanted)


student = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
both = MeanTeacher(student)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for step in range(12):
    x = 3 + 2 * torch.randn(32, 6)
    loss = F.cross_entropy(student(x), (x[:, 0] > 3).long()) + both.loss(x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    both.follow()
print(loss.item())
