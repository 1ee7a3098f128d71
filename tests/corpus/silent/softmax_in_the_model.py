"""Flower classifier that stops at 60 percent, whatever the learning rate."""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, n_in=4, hidden=16, classes=3):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, classes)
        self.act = nn.ReLU()
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        return self.softmax(self.fc2(self.act(self.fc1(x))))


def batches(n, size=16):
    centers = torch.eye(4)[:3] * 2
    for _ in range(n):
        y = torch.randint(0, 3, (size,))
        yield centers[y] + torch.randn(size, 4), y


def main():
    torch.manual_seed(0)
    model = Classifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    right = seen = 0
    for x, y in batches(40):
        out = model(x)
        loss = criterion(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right, seen = right + (out.argmax(1) == y).sum().item(), seen + len(y)
    print(f"loss {loss.item():.3f} accuracy {right / seen:.2f}")


main()
