"""Sentiment of short texts: a recurrent net with functional dropout, scored after each epoch."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)


class Sentiment(nn.Module):
    def __init__(self, words=40, width=16):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.rnn = nn.GRU(width, width, batch_first=True)
        self.rate = 0.4
        self.out = nn.Linear(width, 2)

    def forward(self, tokens):
        states, _ = self.rnn(self.embedding(tokens))
        last = F.dropout(states[:, -1], p=self.rate)
        return self.out(last)


def texts(count):
    for _ in range(count):
        tokens = torch.randint(0, 40, (16, 6))
        yield tokens, (tokens[:, -1] > 19).long()


def accuracy(model):
    model.eval()
    right = 0
    with torch.no_grad():
        for tokens, labels in texts(4):
            right += (model(tokens).argmax(1) == labels).sum().item()
    return right / 64


def main():
    model = Sentiment()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for epoch in range(4):
        model.train()
        for tokens, labels in texts(12):
            loss = F.cross_entropy(model(tokens), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, f"{accuracy(model):.3f}")


main()
