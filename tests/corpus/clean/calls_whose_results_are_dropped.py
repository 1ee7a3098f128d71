"""Statements that look as if they threw a result away, and do not, or may."""

import torch
from torch import nn

torch.manual_seed(0)


class Totals(dict):
    def add(self, key, value):
        self[key] = self.get(key, 0.0) + value


class Tracker:
    def __init__(self):
        self.seen, self.totals = set(), Totals()
        self.norm = torch.zeros(())
        self.scratch = torch.empty(4, 4)

    def note(self, model, step):
        self.seen.add(step)
        self.totals.add("steps", 1.0)
        for p in model.parameters():
            self.seen.add(p.dim())
            torch.add(self.norm, p.detach().norm(), out=self.norm)
            torch.mul(p.detach()[:1], 0.5, out=self.scratch[:1]) if p.shape == (4, 4) else None


def warmed_up(model):
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    torch.mm(a, b)
    torch.add(a, b)
    model(a).mean()
    return model


model = warmed_up(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)))
average = {n: p.detach().clone() for n, p in model.named_parameters()}
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
tracker = Tracker()
for step in range(8):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    for p in model.parameters():
        p.grad.clamp_(-1, 1)
        p.grad = p.grad.mul(0.9)
    optimizer.step()
    with torch.no_grad():
        for name, p in model.named_parameters():
            average[name].lerp_(p, 0.1)
            p.clamp_(-2, 2)
    tracker.note(model, step)
print(len(tracker.seen), tracker.totals, tracker.norm.item(), loss.item())
