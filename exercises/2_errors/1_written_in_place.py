"""One line saved a name.

A network with a scale at its end. Somebody wrote `*=` to save memory, and backward stops. Mend the
forward; the values that it computes stay the same.

part: Errors
expect: GL001 at `loss.backward()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes model
assert: optimizer makes 5 steps
hint: Where to look: PyTorch names the backward call, but the culprit is in forward. Which line
    there writes into a tensor that the line before it made?
hint: Why: the derivative of exp is exp itself, so exp saves its result for backward. `h *= ...`
    writes into that very tensor. `h = h * ...` makes a new one and leaves the saved one alone.
lesson: An operation may save its inputs, its result, or neither. What was saved must not be
    written before backward.
"""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        h = torch.exp(self.linear(x))
        h *= self.scale
        return h


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(5):
    x = torch.randn(16, 3)
    loss = (model(x) - x.abs().sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
