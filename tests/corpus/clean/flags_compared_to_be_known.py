"""Methods that are handed over and called elsewhere, and flags that are asked for."""

import contextlib

import torch
import torch.nn as nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 12)
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


@contextlib.contextmanager
def mode(enter, leave):
    enter()
    yield
    leave()


def check(model):
    for p in model.body.parameters():
        assert p.requires_grad == False  # noqa: E712
    return [p.requires_grad == True for p in model.head.parameters()]  # noqa: E712


model = Net()
for p in model.body.parameters():
    p.requires_grad = False
optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1)
clear = optimizer.zero_grad
for step in range(8):
    x = torch.randn(16, 6)
    y = (x[:, 0] > 0).long()
    loss = nn.functional.cross_entropy(model(x), y)
    clear()
    loss.backward()
    optimizer.step()
    with mode(model.eval, model.train), torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean().item()
    print(step, all(check(model)), round(right, 2))
