"""A language model whose constructor ties its head, and then chooses another body."""

import torch
from torch import nn


class Body(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mix = nn.GRU(width, width, batch_first=True)

    def forward(self, ids):
        return self.mix(self.embed(ids))[0]


class DeepBody(Body):
    def __init__(self, vocab, width):
        super().__init__(vocab, width)
        self.more = nn.GRU(width, width, batch_first=True)

    def forward(self, ids):
        return self.more(super().forward(ids))[0]


class Lm(nn.Module):
    def __init__(self, vocab=16, width=12, deep=False):
        super().__init__()
        self.body = Body(vocab, width)
        self.head = nn.Linear(width, vocab, bias=False)
        self.tie_weights()
        if deep:
            self.body = DeepBody(vocab, width)

    def tie_weights(self):
        self.head.weight = self.body.embed.weight

    def forward(self, ids):
        return self.head(self.body(ids))


torch.manual_seed(4)
lm = Lm(deep=True)
optimizer = torch.optim.AdamW(lm.parameters(), lr=1e-2)
for step in range(10):
    ids = (torch.randint(0, 16, (8, 1)) + torch.arange(7)) % 16
    loss = nn.functional.cross_entropy(lm(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
