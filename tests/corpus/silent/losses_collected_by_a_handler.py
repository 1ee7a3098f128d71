"""A regression whose step returns its loss to a small engine; a handler keeps the curve."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
curve = []


class Engine:
    def __init__(self, step):
        self.step, self.handlers = step, []

    def on_iteration(self, handler):
        self.handlers.append(handler)
        return handler

    def run(self, batches):
        for batch in batches:
            output = self.step(batch)
            for handler in self.handlers:
                handler(output)


def step(batch):
    x, y = batch
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    return loss


trainer = Engine(step)


@trainer.on_iteration
def keep(output):
    curve.append(output)


trainer.run([(x, x.sum(1, keepdim=True)) for x in torch.randn(24, 8, 5)])
print(f"mean loss {sum(curve).item() / len(curve):.4f}")
