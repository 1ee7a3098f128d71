"""A classifier with dropout and batch norm that is validated after each epoch."""

import torch
import torch.nn as nn

torch.manual_seed(0)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(8, 32)
        self.norm = nn.BatchNorm1d(32)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        return self.fc2(self.drop(torch.relu(self.norm(self.fc1(x)))))


def batches(count):
    for _ in range(count):
        x = torch.randn(16, 8)
        yield x, (x[:, 0] + x[:, 1] > 0).long()


def accuracy(model, count):
    model.eval
    right = 0
    with torch.no_grad():
        for x, y in batches(count):
            right += (model(x).argmax(1) == y).sum().item()
    return right / (16 * count)


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(3):
    model.train()
    for x, y in batches(4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    print(epoch, round(accuracy(model, 3), 3))
