"""Instance discrimination: contrast each view with every key seen so far."""

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    def __init__(self, n_in=16, dim=8):
        super().__init__()
        self.proj = nn.Linear(n_in, dim)

    def forward(self, x):
        return F.normalize(self.proj(x), dim=1)


class MemoryBank:
    def __init__(self):
        self.keys = []

    def enqueue(self, z):
        first = len(self)
        self.keys.append(z)
        return torch.arange(first, first + len(z))

    def __len__(self):
        return sum(len(z) for z in self.keys)

    def matrix(self):
        return torch.cat(self.keys)


def two_views(batch):
    base = torch.randn(batch, 16)
    return base + 0.1 * torch.randn(batch, 16), base + 0.1 * torch.randn(batch, 16)


class Contrast:
    def __init__(self, encoder, temperature=0.2):
        self.encoder = encoder
        self.bank = MemoryBank()
        self.temperature = temperature
        self.optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1, momentum=0.9)

    def step(self, view_q, view_k):
        q = self.encoder(view_q)
        k = self.encoder(view_k)
        target = self.bank.enqueue(k)
        logits = q @ self.bank.matrix().t() / self.temperature
        loss = F.cross_entropy(logits, target)
        self.optimizer.zero_grad()
        loss.backward(retain_graph=True)
        self.optimizer.step()
        return loss.item()


def main():
    torch.manual_seed(13)
    encoder = Encoder()
    method = Contrast(encoder)
    for i in range(20):
        loss = method.step(*two_views(8))
        if i % 5 == 0:
            print(f"iter {i} bank {len(method.bank)} loss {loss:.4f}")


if __name__ == "__main__":
    main()
