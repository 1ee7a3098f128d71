"""A mean teacher whose moving average is written into the student."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 16), nn.ReLU())
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.body(x))


def update_teacher(model, ema_model, alpha, step):
    alpha = min(1 - 1 / (step + 1), alpha)
    for ema_param, param in zip(ema_model.parameters(), model.parameters(), strict=True):
        param.data.mul_(alpha).add_(ema_param.data, alpha=1 - alpha)


def main():
    torch.manual_seed(0)
    student = Net()
    teacher = copy.deepcopy(student)
    for each in teacher.parameters():
        each.requires_grad_(False)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for step in range(10):
        x, free = torch.randn(16, 5), torch.randn(16, 5)
        with torch.no_grad():
            wanted = teacher(free).softmax(1)
        consistency = F.mse_loss(student(free).softmax(1), wanted)
        loss = F.cross_entropy(student(x), x[:, :3].argmax(1)) + consistency
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_teacher(student, teacher, 0.9, step)
        print(step, loss.item())


main()
