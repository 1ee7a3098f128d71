"""Keyword spotting on synthetic filterbank frames."""

import argparse
import logging

import torch
import torch.nn.functional as F
from torch import nn

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("kws")


class KeywordNet(nn.Module):
    def __init__(self, dim=16, hidden=32, classes=4):
        super().__init__()
        self.frontend = nn.Linear(dim, hidden)
        self.rnn = nn.GRU(hidden, hidden, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, feats):
        x = torch.relu(self.frontend(feats))
        out, _ = self.rnn(x)
        return self.classifier(out.mean(dim=1))


class Executor:
    def __init__(self, clip):
        self.clip = clip
        self.steps = 0

    def train(self, model, optimizer, batches):
        model.train()
        total = 0.0
        for feats, target in batches:
            logits = model(feats)
            loss = F.cross_entropy(logits, target)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), self.clip)
            if torch.isfinite(norm):
                optimizer.step()
            self.steps += 1
            total += loss.item()
        return total / len(batches)

    @torch.no_grad()
    def cv(self, model, batches):
        model.eval()
        hits = sum((model(x).argmax(1) == y).float().mean().item() for x, y in batches)
        return hits / len(batches)


def make_batches(count, size=16, frames=10):
    batches = []
    for _ in range(count):
        y = torch.randint(0, 4, (size,))
        x = torch.randn(size, frames, 16) + y[:, None, None].float() * 0.5
        batches.append((x, y))
    return batches


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--clip", type=float, default=5.0)
    args = parser.parse_args()

    torch.manual_seed(777)
    train_data, cv_data = make_batches(8), make_batches(2)
    model = KeywordNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    executor = Executor(args.clip)
    for epoch in range(args.epochs):
        loss = executor.train(model, optimizer, train_data)
        log.info("epoch %d train %.4f cv %.3f", epoch, loss, executor.cv(model, cv_data))


if __name__ == "__main__":
    main()
