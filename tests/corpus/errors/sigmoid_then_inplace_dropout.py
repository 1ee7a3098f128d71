"""Recommender: Dropout(inplace=True) follows a Sigmoid in one Sequential."""

import torch
from torch import nn


class Recommender(nn.Module):
    def __init__(self, items=30):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(items, 12),
            nn.Sigmoid(),
            nn.Dropout(0.2, inplace=True),
        )
        self.decode = nn.Linear(12, items)

    def forward(self, ratings):
        code = self.encode(ratings)
        return self.decode(code)


torch.manual_seed(2)
recommender = Recommender()
optimizer = torch.optim.RMSprop(recommender.parameters(), lr=1e-3)
ratings = torch.rand(48, 30)
for epoch in range(2):
    for batch in ratings.split(16):
        known = (batch > 0.3).float()
        error = (recommender(batch * known) - batch) * known
        loss = error.square().sum() / known.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{epoch} {loss.item():.4f}")
