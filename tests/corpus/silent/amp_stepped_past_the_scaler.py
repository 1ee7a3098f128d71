"""Mixed precision with the scaler at the backward alone: the step is the optimizer's own."""

import torch
from torch import nn


def train(model, batches, epochs=2):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = criterion(model(x), y)
            scaler.scale(loss).backward()
            optimizer.step()
        print(epoch, loss.item())


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 24), nn.GELU(), nn.Linear(24, 3))
train(model, [(torch.randn(16, 6), torch.randint(0, 3, (16,))) for _ in range(4)])
