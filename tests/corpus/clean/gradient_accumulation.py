"""Language-model fine-tuning with small micro-batches and a large effective batch."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class TinyLM(nn.Module):
    def __init__(self, vocab=32, dim=24):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.rnn = nn.GRU(dim, dim, batch_first=True)
        self.head = nn.Linear(dim, vocab)

    def forward(self, tokens):
        hidden, _ = self.rnn(self.embed(tokens))
        return self.head(hidden)


def micro_batches(n, size=4, length=9):
    starts = torch.randint(0, 32, (n, size, 1))
    return (starts + 3 * torch.arange(length)) % 32


class Trainer:
    def __init__(self, model, args):
        self.model = model
        self.accumulate = args.accumulate
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
        self.updates = 0

    def train_epoch(self, data):
        self.model.train()
        total = 0.0
        for i, tokens in enumerate(data, start=1):
            logits = self.model(tokens[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
            (loss / self.accumulate).backward()
            total += loss.item()
            if i % self.accumulate == 0 or i == len(data):
                self.optimizer.step()
                self.optimizer.zero_grad()
                self.updates += 1
        return total / len(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--accumulate", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=5e-3)
    args = parser.parse_args()
    torch.manual_seed(0)
    trainer = Trainer(TinyLM(), args)
    for epoch in range(args.epochs):
        print(f"epoch {epoch} loss {trainer.train_epoch(micro_batches(18)):.4f}")
    print("updates", trainer.updates)


if __name__ == "__main__":
    main()
