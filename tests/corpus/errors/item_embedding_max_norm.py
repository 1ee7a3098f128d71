"""Next-item recommendation with norm-constrained item vectors."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Recommender(nn.Module):
    def __init__(self, n_items, dim):
        super().__init__()
        self.items = nn.Embedding(n_items, dim, max_norm=1.0)
        self.to_key = nn.Linear(dim, dim, bias=False)
        self.to_query = nn.Linear(dim, dim)

    def candidates(self):
        return self.to_key(self.items.weight)

    def forward(self, history):
        keys = self.candidates()
        recent = self.items(history)
        query = self.to_query(recent.mean(dim=1))
        return query @ keys.t()


def sessions(n_batches, batch_size, n_items, length):
    for _ in range(n_batches):
        start = torch.randint(0, n_items, (batch_size, 1))
        walk = (start + torch.arange(length + 1)) % n_items
        yield walk[:, :-1], walk[:, -1]


def train_epoch(model, optimizer, data):
    losses = []
    for history, target in data:
        scores = model(history)
        loss = F.cross_entropy(scores, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


if __name__ == "__main__":
    torch.manual_seed(6)
    n_items = 50
    model = Recommender(n_items, 16)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    for epoch in range(3):
        mean = train_epoch(model, optimizer, sessions(5, 32, n_items, 4))
        print(f"epoch {epoch}: {mean:.4f}")
