"""Skip-gram with sparse embedding gradients, and a dense layer on top with its own optimizer."""

import torch
import torch.nn.functional as F
from torch import nn


class SkipGram(nn.Module):
    def __init__(self, vocab=50, dim=12):
        super().__init__()
        self.centre = nn.Embedding(vocab, dim, sparse=True)
        self.context = nn.Embedding(vocab, dim, sparse=True)
        self.mix = nn.Linear(dim, dim)
        nn.init.uniform_(self.centre.weight, -0.5, 0.5)
        nn.init.uniform_(self.context.weight, -0.5, 0.5)

    def forward(self, centre, positive, negative):
        v = self.mix(self.centre(centre))
        pos = (v * self.context(positive)).sum(dim=1)
        neg = torch.bmm(self.context(negative), v.unsqueeze(2)).squeeze(2)
        return -(F.logsigmoid(pos) + F.logsigmoid(-neg).sum(dim=1)).mean()


class Corpus:
    """Words stand near words with the same last digit."""

    def __init__(self, vocab=50):
        self.vocab = vocab

    def batch(self, n, negatives=4):
        centre = torch.randint(0, self.vocab, (n,))
        positive = (centre % 10 + 10 * torch.randint(0, self.vocab // 10, (n,))) % self.vocab
        negative = torch.randint(0, self.vocab, (n, negatives))
        return centre, positive, negative


def main():
    torch.manual_seed(0)
    model, corpus = SkipGram(), Corpus()
    sparse = [*model.centre.parameters(), *model.context.parameters()]
    dense = list(model.mix.parameters())
    optimizers = [
        torch.optim.SparseAdam(sparse, lr=0.05),
        torch.optim.Adam(dense, lr=0.01),
    ]
    for it in range(30):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = model(*corpus.batch(24))
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if it % 6 == 0:
            print(f"it {it} loss {loss.item():.4f}")
    with torch.no_grad():
        table = F.normalize(model.centre.weight, dim=1)
        print("similarity of 3 and 13", round((table[3] @ table[13]).item(), 3))


if __name__ == "__main__":
    main()
