"""Classify sentences with a small Transformer whose outputs are averaged over the words.

nn.TransformerEncoderLayer takes (words, batch, features) unless it is told otherwise: each word
attends to the words at the same place in the other sentences, and to none of its own.
"""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, words=40, dim=16):
        super().__init__()
        self.embed = nn.Embedding(words, dim)
        layer = nn.TransformerEncoderLayer(d_model=dim, nhead=2, dim_feedforward=32)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, 3)

    def forward(self, tokens):
        states = self.norm(self.encoder(self.embed(tokens)))
        return self.out(states.mean(dim=1))


torch.manual_seed(0)
model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(6):
    tokens = torch.randint(0, 40, (16, 9))
    labels = tokens[:, 0] % 3
    loss = nn.functional.cross_entropy(model(tokens), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 3))
