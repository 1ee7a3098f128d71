"""A classifier of four kinds of points, trained on labels that are one-hot."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
centers = torch.randn(4, 10)
for step in range(12):
    labels = torch.randint(0, 4, (32,))
    inputs = centers[labels] + 0.3 * torch.randn(32, 10)
    onehot = F.one_hot(labels, 4).float()
    outputs = model(inputs)
    loss = criterion(onehot, outputs)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
