"""A number has no graph.

Two terms, added up and trained on. PyTorch says that element 0 of the loss does not require grad.
Somebody has put a requires_grad_() there before, and nothing was learned. Mend it properly.

part: Errors
expect: GL005 at `loss.backward()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes model
assert: optimizer makes 20 steps
assert: loss ends below 0.5
hint: Where to look: go back from loss, line by line. Which is the last tensor that knows how it was
    computed, and which line turned it into a plain number?
hint: Why: .item() gives a Python number, for printing. A tensor made of such numbers is a new leaf
    with no history. requires_grad_() on it stops the complaint, and backward then ends at that
    leaf, with the model out of reach. Add the tensors themselves.
lesson: From the model to the loss, everything stays a tensor. .item() is for what you print.
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(20):
    x = torch.randn(64, 4)
    error = (model(x) - x.sum(1, keepdim=True)).square().mean()
    penalty = 0.01 * model.weight.square().sum()
    loss = torch.tensor(error.item() + penalty.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
