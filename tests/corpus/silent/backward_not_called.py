"""Reviews: a bag of words, two classes."""

import torch
import torch.nn as nn


class Bag(nn.Module):
    def __init__(self, vocab=50):
        super().__init__()
        self.emb = nn.EmbeddingBag(vocab, 12)
        self.lin = nn.Linear(12, 2)

    def forward(self, tokens):
        return self.lin(self.emb(tokens))


def train(model, steps=12):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(steps):
        tokens = torch.randint(0, 50, (16, 8))
        label = (tokens.float().mean(1) > 24.5).long()
        optimizer.zero_grad()
        loss = criterion(model(tokens), label)
        loss.backward
        optimizer.step()
        print(step, loss.item())


torch.manual_seed(19)
model = Bag()
train(model)
