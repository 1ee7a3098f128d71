"""A classifier of tables, validated after each epoch."""

import torch
from torch import nn

torch.manual_seed(0)
features = torch.randn(240, 6)
labels = (features[:, 0] + features[:, 1] * features[:, 2] > 0).long()
train_set = list(zip(features[:192].split(16), labels[:192].split(16)))
val_set = list(zip(features[192:].split(16), labels[192:].split(16)))

model = nn.Sequential(
    nn.Linear(6, 24),
    nn.BatchNorm1d(24),
    nn.ReLU(),
    nn.Dropout(0.3),
    nn.Linear(24, 2),
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for epoch in range(3):
    for x, y in train_set:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()

    hits = 0
    with torch.no_grad():
        for x, y in val_set:
            hits += (model(x).argmax(1) == y).sum().item()
    print(f"epoch {epoch}: loss {loss.item():.4f}, validation {hits / 48:.3f}")
