"""A small classifier whose author wrote everything but the step: the loss stays where it began."""

import torch
from torch import nn

torch.manual_seed(0)
points = torch.randn(96, 2)
labels = (points.prod(dim=1) > 0).long()
classifier = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(classifier.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(3):
    for start in range(0, 96, 24):
        scores = classifier(points[start : start + 24])
        loss = criterion(scores, labels[start : start + 24])
        optimizer.zero_grad()
        loss.backward()
    print(epoch, f"{loss.item():.4f}")
