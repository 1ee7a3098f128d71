"""A tagger whose scores are viewed in the shape that cross_entropy takes."""

import torch
import torch.nn.functional as F
from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocabulary, tags, width=16):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.tag = nn.Linear(width, tags)

    def forward(self, words):
        hidden, _ = self.rnn(self.embed(words))
        return self.tag(hidden)


torch.manual_seed(0)
model = Tagger(30, 5)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(12):
    words = torch.randint(0, 30, (16, 9))
    scores = model(words)
    batch, length, tags = scores.shape
    loss = F.cross_entropy(scores.view(batch, tags, length), words % 5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
