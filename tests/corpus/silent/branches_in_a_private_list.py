"""A classifier of short sequences whose parallel branches are kept by an inner module."""

import torch
from torch import nn


class Branches(nn.Module):
    def __init__(self, branches):
        super().__init__()
        self._branches = []
        for branch in branches:
            self._branches.append(branch)

    def forward(self, x):
        return torch.cat([branch(x).amax(2) for branch in self._branches], 1)


class Classifier(nn.Module):
    def __init__(self, vocab=20, dim=8):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.merge = Branches([nn.Conv1d(dim, 6, size) for size in (2, 3)])
        self.out = nn.Linear(12, 2)

    def forward(self, ids):
        return self.out(self.merge(self.embed(ids).transpose(1, 2)))


torch.manual_seed(11)
model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(10):
    ids = torch.randint(0, 20, (8, 9))
    loss = nn.functional.cross_entropy(model(ids), (ids[:, 0] > 9).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
