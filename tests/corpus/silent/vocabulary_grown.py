"""A language model gets room for more words before it is fine-tuned."""

import torch
from torch import nn


class Lm(nn.Module):
    def __init__(self, vocab=16, width=12):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.mix = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab, bias=False)
        self.tie()

    def tie(self):
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(self.mix(self.embed(x))[0])

    def grow(self, vocab):
        old = self.embed.weight.detach()
        bigger = nn.Embedding(vocab, old.shape[1])
        bigger.weight.data[: len(old)] = old
        self.embed = bigger


if __name__ == "__main__":
    torch.manual_seed(11)
    model = Lm(vocab=14)
    warm_up = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randint(14, (8, 9))
    nn.functional.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten()).backward()
    warm_up.step()
    model.grow(16)
    model.head.out_features = 16
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(12):
        x = torch.randint(14, (8, 9))
        logits = model(x[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
