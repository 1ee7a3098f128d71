"""A language model that is tied after its weights are made, grown with both tables, or untied."""

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
        self.reset_parameters()
        self.head.weight = self.tok.weight
        self.soften()

    def reset_parameters(self):
        self.tok.weight = nn.Parameter(torch.randn(50, 16) * 0.02)

    def soften(self):
        nn.init.normal_(self.tok.weight, std=0.02)

    def grow(self, n):
        self.tok = nn.Embedding(n, 16)
        self.head = nn.Linear(16, n, bias=False)
        self.head.weight = self.tok.weight

    def untie(self):
        self.head.weight = nn.Parameter(self.tok.weight.detach().clone())

    def forward(self, x):
        h, _ = self.rnn(self.tok(x))
        return self.head(h)


for how in ("", "grow", "untie"):
    model = LM()
    if how == "grow":
        model.grow(60)
    if how == "untie":
        model.untie()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = torch.randint(0, 50, (8, 33))
    for step in range(6):
        x, y = tokens[:, :-1], tokens[:, 1:]
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(how, round(loss.item(), 4))
