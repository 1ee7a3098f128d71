"""Siamese pairs for CosineEmbeddingLoss, with 0 where the two differ."""

import torch
from torch import nn

torch.manual_seed(0)
centres = torch.randn(5, 10)
encoder = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 8))
criterion = nn.CosineEmbeddingLoss(margin=0.2)
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
for step in range(12):
    who, whom = torch.randint(0, 5, (2, 24))
    one = centres[who] + 0.3 * torch.randn(24, 10)
    other = centres[whom] + 0.3 * torch.randn(24, 10)
    same = (who == whom).float()
    loss = criterion(encoder(one), encoder(other), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
