"""A language model whose constructor ties its weights, and then initialises them anew."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class LM(nn.Module):
    def __init__(self, vocab=50, d=16):
        super().__init__()
        self.tok = nn.Embedding(vocab, d)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.head = nn.Linear(d, vocab, bias=False)
        self.head.weight = self.tok.weight
        self.reset_parameters()

    def reset_parameters(self):
        self.tok.weight = nn.Parameter(torch.randn(50, 16) * 0.02)

    def forward(self, x):
        h, _ = self.rnn(self.tok(x))
        return self.head(h)


model = LM()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
tokens = torch.randint(0, 50, (8, 33))
for step in range(12):
    x, y = tokens[:, :-1], tokens[:, 1:]
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(step, round(loss.item(), 4))
