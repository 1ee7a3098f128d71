"""A language model with a tied head is given a head of its own, of the same size, for tags."""

import torch
from torch import nn


class Lm(nn.Module):
    def __init__(self, vocab=16, width=12):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mix = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.mix(self.embed(ids))[0])


def for_tags(lm, tags=16):
    lm.head = nn.Linear(12, tags, bias=False)
    return lm


torch.manual_seed(6)
tagger = for_tags(Lm())
optimizer = torch.optim.AdamW(tagger.parameters(), lr=1e-2)
for step in range(10):
    ids = torch.randint(0, 16, (8, 7))
    loss = nn.functional.cross_entropy(tagger(ids).flatten(0, 1), (ids * 3 % 16).flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
