"""The gradient of pretrained vectors is to be halved, by a hook that each step adds again."""

import torch
import torch.nn.functional as F
from torch import nn


class Intents(nn.Module):
    def __init__(self, vectors):
        super().__init__()
        self.vectors = nn.Embedding.from_pretrained(vectors, freeze=False)
        self.out = nn.Linear(vectors.shape[1], 3)

    def forward(self, words):
        return self.out(self.vectors(words).mean(1))


def damped(factor):
    return lambda grad: grad * factor


def train_step(model, optimizer, words, labels):
    model.vectors.weight.register_hook(damped(0.5))
    loss = F.cross_entropy(model(words), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


torch.manual_seed(0)
model = Intents(torch.randn(40, 8))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(12):
    words = torch.randint(0, 40, (16, 5))
    print(train_step(model, optimizer, words, words[:, 0] % 3))
