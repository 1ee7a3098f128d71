"""ULMFiT-style fine-tuning: unfreeze from the top, with a fresh optimizer at every stage."""

import torch
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    def __init__(self, vocab=40, dim=16, classes=3):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab, dim, mode="mean")
        self.layer1 = nn.Linear(dim, dim)
        self.layer2 = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, tokens):
        x = self.embedding(tokens)
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.head(x)


def reviews(n):
    y = torch.randint(0, 3, (n,))
    tokens = torch.randint(0, 40, (n, 8))
    tokens[:, :3] = (y[:, None] * 13 + torch.arange(3)) % 40
    return tokens, y


def unfreeze(model, names):
    for name, child in model.named_children():
        child.requires_grad_(name in names)
    return [p for p in model.parameters() if p.requires_grad]


def fit(model, optimizer, iters):
    for _ in range(iters):
        tokens, y = reviews(24)
        loss = F.cross_entropy(model(tokens), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(4)
    model = Classifier()
    stages = [
        (["head"], 1e-2),
        (["head", "layer2"], 5e-3),
        (["head", "layer2", "layer1"], 2e-3),
        (["head", "layer2", "layer1", "embedding"], 1e-3),
    ]
    for names, lr in stages:
        optimizer = torch.optim.Adam(unfreeze(model, names), lr=lr)
        loss = fit(model, optimizer, iters=8)
        print(f"{'+'.join(names):40s} loss {loss:.4f}")


if __name__ == "__main__":
    main()
