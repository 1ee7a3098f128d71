"""Train a classifier; the step is indented as far as the loop over the batches, not into it.

Each batch's loss is computed, added up for the log and overwritten by the next one: an epoch takes
one step, on its last batch.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs = torch.randn(80, 10)
labels = (inputs[:, 0] > 0).long()
loader = DataLoader(TensorDataset(inputs, labels), batch_size=16, shuffle=True)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

for epoch in range(4):
    model.train()
    running = 0.0
    for x, y in loader:
        scores = model(x)
        loss = criterion(scores, y)
        running += loss.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(epoch, round(running / len(loader), 3))
