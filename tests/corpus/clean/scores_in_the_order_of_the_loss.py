"""Scores that are transposed or flattened for cross_entropy, and views that swap sizes on purpose."""

import torch
import torch.nn.functional as F
from torch import nn


def shifted(scores):
    """The relative shift of Transformer-XL: a column of zeros, and a view one row longer."""
    batch, rows, columns = scores.shape
    padded = F.pad(scores, (1, 0)).view(batch, columns + 1, rows)
    return padded[:, 1:].reshape(batch, rows, columns)


torch.manual_seed(0)
embed, tag = nn.Embedding(30, 8), nn.Linear(8, 5)
attend, conv = nn.Linear(8, 7), nn.Conv1d(8, 5, 1)
parts = nn.ModuleList([embed, tag, attend, conv])
optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)
for step in range(12):
    words = torch.randint(0, 30, (6, 7))
    hidden = embed(words)
    weights = shifted(attend(hidden)).softmax(-1)
    scores = tag(weights @ hidden)
    labels = words % 5
    loss = F.cross_entropy(scores.transpose(1, 2), labels)
    loss = loss + F.cross_entropy(scores.view(-1, 5), labels.view(-1))
    loss = loss + F.cross_entropy(conv(hidden.transpose(1, 2)), labels)
    # One score for each of the words: the scores of a pointer, over positions.
    pointer = tag(hidden)[..., :1].view(6, 7)
    loss = loss + F.cross_entropy(pointer, words[:, 0] % 7)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
