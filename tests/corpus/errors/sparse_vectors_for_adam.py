"""Word vectors with sparse gradients, in an optimizer that takes dense ones."""

import torch
import torch.nn.functional as F
from torch import nn


class SkipGram(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.words = nn.Embedding(vocabulary, width, sparse=True)
        self.contexts = nn.Embedding(vocabulary, width)

    def forward(self, words, contexts):
        scores = (self.words(words) * self.contexts(contexts)).sum(1) + self.bias[contexts]
        return -F.logsigmoid(scores).mean()


torch.manual_seed(0)
model = SkipGram(50, 8)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(8):
    words, contexts = torch.randint(0, 50, (2, 32))
    loss = model(words, contexts)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
