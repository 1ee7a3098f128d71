"""SimCSE-like contrastive learning: two passes, two dropout draws."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class GaussianDropout(nn.Module):
    """Multiplicative noise; one buffer is kept to avoid an allocation per call."""

    def __init__(self, batch, dim, rate=0.2):
        super().__init__()
        self.rate = rate
        self.register_buffer("noise", torch.empty(batch, dim), persistent=False)

    def forward(self, x):
        if not self.training:
            return x
        torch.normal(1.0, self.rate, self.noise.shape, out=self.noise)
        return x * self.noise


class SentenceEncoder(nn.Module):
    def __init__(self, vocab, dim, batch):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab, dim, mode="mean")
        self.drop = GaussianDropout(batch, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens):
        return self.proj(self.drop(self.bag(tokens)))


def info_nce(z1, z2, temperature=0.05):
    z1, z2 = F.normalize(z1, dim=1), F.normalize(z2, dim=1)
    logits = z1 @ z2.t() / temperature
    return F.cross_entropy(logits, torch.arange(len(z1)))


def main():
    torch.manual_seed(8)
    batch_size = 16
    encoder = SentenceEncoder(vocab=200, dim=24, batch=batch_size)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3)
    corpus = torch.randint(0, 200, (5, batch_size, 10))
    for i, tokens in enumerate(corpus):
        anchor = encoder(tokens)
        positive = encoder(tokens)
        loss = info_nce(anchor, positive)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"batch {i}: {loss.item():.4f}")


if __name__ == "__main__":
    main()
