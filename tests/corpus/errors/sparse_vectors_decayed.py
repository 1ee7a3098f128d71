"""Ratings of items by users, whose vectors are updated sparsely."""

import torch
import torch.nn as nn

torch.manual_seed(0)


class Recommender(nn.Module):
    def __init__(self, users, items, dim=8):
        super().__init__()
        self.users = nn.Embedding(users, dim, sparse=True)
        self.items = nn.Embedding(items, dim, sparse=True)

    def forward(self, u, i):
        return (self.users(u) * self.items(i)).sum(-1)


model = Recommender(50, 80)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, weight_decay=1e-5)
for batch in range(5):
    u, i = torch.randint(0, 50, (32,)), torch.randint(0, 80, (32,))
    rating = torch.rand(32) * 5
    loss = (model(u, i) - rating).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(batch, round(loss.item(), 3))
