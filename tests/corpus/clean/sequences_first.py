"""Layers that take the sequence first, and are given it first.

The last step is read of all examples, the batch of one is read as it is, one example is kept for a
picture, and the mean over a batch goes into a log.
"""

import torch
from torch import nn


class Summary(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 8)
        self.attention = nn.MultiheadAttention(8, 2)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 1)
        self.drawn = None

    def forward(self, x):
        out, _ = self.gru(x.transpose(0, 1))
        mixed, _ = self.attention(out, out, out)
        self.drawn = mixed[:, 0].detach()
        print("mean of the batch", mixed.detach().mean(dim=1).shape)
        return self.head(self.norm(mixed)[-1])


class Tagger(nn.Module):
    """One sentence at a time: its batch is of one."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 8, bidirectional=True)
        self.head = nn.Linear(16, 2)

    def forward(self, sentence):
        out, _ = self.lstm(sentence.unsqueeze(1))
        return self.head(out[:, 0])


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.first = nn.LSTM(3, 8, batch_first=True)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        out, _ = self.first(x)
        return self.head(self.encoder(out).mean(dim=1) + out[:, -1])


torch.manual_seed(0)
summary, tagger, pooled = Summary(), Tagger(), Pooled()
parameters = [*summary.parameters(), *tagger.parameters(), *pooled.parameters()]
optimizer = torch.optim.Adam(parameters, lr=0.01)
for step in range(4):
    x = torch.randn(6, 5, 3)
    y = x.sum((1, 2)).unsqueeze(1)
    loss = nn.functional.mse_loss(summary(x), y) + nn.functional.mse_loss(pooled(x), y)
    tags = tagger(x[0])
    loss = loss + nn.functional.cross_entropy(tags, (x[0, :, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 2))
