"""A small language model whose output layer is to be tied to its embedding."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Mixer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)

    def forward(self, x):
        return x + F.gelu(self.inner(self.norm(x.cumsum(1))))


class LanguageModel(nn.Module):
    def __init__(self, words=13, width=8, tie_weights=True):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.mixer = Mixer(width)
        self.out = nn.Linear(width, words, bias=False)
        if tie_weights:
            self.out.weight.data = self.embed.weight.data

    def forward(self, tokens):
        return self.out(self.mixer(self.embed(tokens)))


model = LanguageModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
for step in range(8):
    tokens = torch.randint(0, 13, (4, 7))
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"{loss.item():.4f}")
