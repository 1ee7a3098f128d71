"""Textual inversion: one word is learnt, and all others are put back after each step."""

import torch
from torch import nn
from torch.nn import functional as F

PLACEHOLDER = 9


def main():
    torch.manual_seed(0)
    embedding = nn.Embedding(1000, 6)
    encoder = nn.Linear(6, 4).requires_grad_(False)
    optimizer = torch.optim.AdamW(embedding.parameters(), lr=5e-2)
    originals = embedding.weight.detach().clone()
    for step in range(10):
        ids = torch.randint(0, PLACEHOLDER, (8, 5))
        ids[:, 2] = PLACEHOLDER
        loss = F.mse_loss(encoder(embedding(ids)).mean(1), torch.ones(8, 4))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        kept = torch.arange(1000) != PLACEHOLDER
        with torch.no_grad():
            embedding.weight[kept] = originals[kept]
        print(step, round(loss.item(), 4))


if __name__ == "__main__":
    main()
