"""Gradient accumulation: a step for every four batches and one for what is left."""

import torch
import torch.nn as nn


def loader(n=10):
    for _ in range(n):
        audio = torch.randn(2, 10, 8)
        yield audio, audio.cumsum(1)[..., :5] * 0.1


torch.manual_seed(4)
gru, head = nn.GRU(8, 24, batch_first=True), nn.Linear(24, 5)
params = [*gru.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(params, lr=1e-3)
criterion = nn.MSELoss()
accumulation = 4
for epoch in range(3):
    total = 0.0
    optimizer.zero_grad()
    batches = list(loader())
    for i, (audio, target) in enumerate(batches):
        loss = criterion(head(gru(audio)[0]), target) / accumulation
        loss.backward()
        total += loss.item() * accumulation
        if (i + 1) % accumulation == 0 or (i + 1) == len(batches):
            nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
            optimizer.zero_grad()
    print(epoch, total / len(batches))
