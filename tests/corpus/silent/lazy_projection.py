"""Distil a teacher's features into a student; the adapter adopts the width it first sees."""

import torch
import torch.nn.functional as F
from torch import nn


class Student(nn.Module):
    def __init__(self, in_dim=20, width=12, classes=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(in_dim, width), nn.ReLU(), nn.Linear(width, width))
        self.head = nn.Linear(width, classes)
        self.adapter = None

    def forward(self, x, teacher_features=None):
        features = self.body(x)
        logits = self.head(torch.relu(features))
        if teacher_features is None:
            return logits
        if self.adapter is None:
            self.adapter = nn.Linear(features.size(-1), teacher_features.size(-1))
        return logits, F.mse_loss(self.adapter(features), teacher_features)


class Teacher(nn.Module):
    def __init__(self, in_dim=20, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(in_dim, width), nn.Tanh())

    @torch.no_grad()
    def forward(self, x):
        return self.net(x)


def batches(n, size=16):
    for _ in range(n):
        x = torch.randn(size, 20)
        y = x[:, :3].argmax(dim=1)
        yield x, y


def main():
    torch.manual_seed(3)
    teacher = Teacher().eval()
    student = Student()
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)

    for epoch in range(3):
        meter = {"ce": 0.0, "hint": 0.0}
        for x, y in batches(8):
            logits, hint_loss = student(x, teacher(x))
            ce_loss = F.cross_entropy(logits, y)
            loss = ce_loss + 0.5 * hint_loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            meter["ce"] += ce_loss.item() / 8
            meter["hint"] += hint_loss.item() / 8
        print(epoch, {k: round(v, 4) for k, v in meter.items()})


if __name__ == "__main__":
    main()
