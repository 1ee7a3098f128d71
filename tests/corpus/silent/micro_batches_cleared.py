"""Sequence tagging with micro batches, as the card holds two sentences at a time."""

import torch
from torch import nn


class Tagger(nn.Module):
    def __init__(self, vocab=20, width=16, tags=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, tags)

    def forward(self, words):
        return self.out(self.rnn(self.embed(words))[0])


def micro_batches(words, tags, size):
    yield from zip(words.split(size), tags.split(size))


def train_on(model, optimizer, criterion, words, tags, size=2):
    total = 0.0
    parts = len(words) // size
    for w, t in micro_batches(words, tags, size):
        model.zero_grad()
        loss = criterion(model(w).flatten(0, 1), t.flatten()) / parts
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


def main():
    torch.manual_seed(2)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    criterion = nn.CrossEntropyLoss()
    for step in range(12):
        words = torch.randint(0, 20, (8, 6))
        loss = train_on(model, optimizer, criterion, words, words % 4)
        if step % 4 == 3:
            print(f"step {step} loss {loss:.4f}")


main()
