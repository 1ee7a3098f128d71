"""Multi-label tagging of sentences."""

import torch
import torch.nn.functional as F
from torch import nn


class Labeller(nn.Module):
    def __init__(self, vocab=30, width=16, labels=5):
        super().__init__()
        self.bag = nn.EmbeddingBag(vocab, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, labels)

    def forward(self, words):
        scores = self.head(self.norm(self.bag(words)))
        return torch.sigmoid(scores)


def compute_loss(model, batch, weight):
    probabilities = model(batch["words"])
    labels = batch["labels"]
    return F.binary_cross_entropy_with_logits(probabilities, labels, pos_weight=weight)


def make_batch(n=16):
    words = torch.randint(0, 30, (n, 8))
    labels = torch.stack([(words % 5 == k).any(1) for k in range(5)], 1).float()
    return {"words": words, "labels": labels}


torch.manual_seed(0)
model = Labeller()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
weight = torch.full((5,), 1.5)
for step in range(20):
    loss = compute_loss(model, make_batch(), weight)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step} loss {loss.item():.4f}")
