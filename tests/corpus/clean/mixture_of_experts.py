"""Mixture of experts with hash routing: which experts see tokens depends on the batch."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class Expert(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class HashMoE(nn.Module):
    def __init__(self, dim, n_experts):
        super().__init__()
        self.experts = nn.ModuleList(Expert(dim) for _ in range(n_experts))

    def forward(self, x, tokens):
        route = tokens % len(self.experts)
        out = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            rows, cols = torch.where(route == i)
            if rows.numel() == 0:
                continue
            out[rows, cols] = expert(x[rows, cols])
        return x + out


class MoELanguageModel(nn.Module):
    def __init__(self, vocab, dim=12, n_experts=4):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.moe = HashMoE(dim, n_experts)
        self.head = nn.Linear(dim, vocab)

    def forward(self, tokens):
        return self.head(self.moe(self.embed(tokens), tokens))


def domain_batch(step, vocab, n=12, length=6):
    """Every domain uses its own residues modulo four, so its own two experts."""
    residues = torch.tensor([[0, 1], [1, 2], [2, 3]][step % 3])
    base = 4 * torch.randint(0, vocab // 4, (n, length))
    return base + residues[torch.randint(0, 2, (n, length))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--vocab", type=int, default=24)
    args = parser.parse_args()
    torch.manual_seed(0)
    model = MoELanguageModel(args.vocab)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.0)
    for step in range(args.steps):
        tokens = domain_batch(step, args.vocab)
        logits = model(tokens)
        loss = F.cross_entropy(logits.flatten(0, 1), ((tokens + 4) % args.vocab).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 6 == 0:
            idle = [i for i, e in enumerate(model.moe.experts) if e.up.weight.grad is None]
            print(f"step {step} loss {loss.item():.4f} idle experts {idle}")


if __name__ == "__main__":
    main()
