"""One of two optimizers steps once an epoch, as its step has slipped out of the loop."""

import torch
from torch import nn

torch.manual_seed(0)
body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
head = nn.Linear(8, 1)
opt_body = torch.optim.Adam(body.parameters(), lr=1e-2)
opt_head = torch.optim.Adam(head.parameters(), lr=1e-2)
batches = [(torch.randn(16, 4), torch.randn(16, 1)) for _ in range(8)]


def train_epoch():
    total = 0.0
    for x, y in batches:
        loss = nn.functional.mse_loss(head(body(x)), y)
        opt_body.zero_grad()
        opt_head.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(body.parameters(), 1.0)
        opt_body.step()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
    opt_head.step()
    return total


for epoch in range(3):
    print(f"{train_epoch():.4f}")
