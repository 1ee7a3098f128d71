"""Sentiment classifier whose embedding rows are filled from word vectors."""

import random

import torch
from torch import nn

GOOD = ["great", "fun", "lovely", "sharp"]
BAD = ["dull", "slow", "poor", "flat"]
FILLER = ["the", "film", "was", "and", "a", "plot"]
VOCAB = ["<pad>", *GOOD, *BAD, *FILLER]


class Classifier(nn.Module):
    def __init__(self, vocab_size, dim):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, 16, batch_first=True)
        self.fc = nn.Linear(16, 2)

    def forward(self, tokens):
        _, (h, _) = self.lstm(self.embedding(tokens))
        return self.fc(h[-1])


def read_vectors(dim):
    rng = random.Random(0)
    words = [w for w in VOCAB[1:] if w != "plot"]
    return {w: [rng.gauss(0, 1) for _ in range(dim)] for w in words}


def load_vectors(model, vectors):
    missing = 0
    for index, word in enumerate(VOCAB):
        if word in vectors:
            model.embedding.weight[index] = torch.tensor(vectors[word])
        else:
            missing += 1
    print(f"{missing} words have no vector")


def sentences(n):
    for _ in range(n):
        label = random.randint(0, 1)
        words = random.sample(FILLER, 4) + random.sample(GOOD if label else BAD, 2)
        yield torch.tensor([[VOCAB.index(w) for w in words]]), torch.tensor([label])


def main():
    random.seed(1)
    torch.manual_seed(1)
    model = Classifier(len(VOCAB), dim=12)
    load_vectors(model, read_vectors(12))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for tokens, label in sentences(50):
        loss = nn.functional.cross_entropy(model(tokens), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


main()
