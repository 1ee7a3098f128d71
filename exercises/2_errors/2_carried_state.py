"""A memory that remembers too much.

A recurrent network carries its hidden state from one piece of a sequence to the next. The second
backward stops. PyTorch's message suggests retain_graph=True; do not believe it. The state must
still be carried from piece to piece.

part: Errors
expect: GL002 at `loss.backward()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes cell and head
assert: optimizer makes 6 steps
assert: the graph stays the same size
hint: Where to look: what does `hidden` bring along from the iteration before, besides numbers?
hint: Why: hidden was computed by the graph of the iteration before, which backward has freed. With
    retain_graph=True the next thing to fail is a weight that the step has changed; and if nothing
    failed, every backward would go through the whole past. What is wanted is the value without
    its history.
lesson: Carry values over, not graphs: `hidden = hidden.detach()` at the border.
"""

import torch
from torch import nn

torch.manual_seed(0)
cell = nn.RNNCell(2, 8)
head = nn.Linear(8, 2)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1)
sequence = torch.randn(7, 4, 2).cumsum(0) / 3

hidden = torch.zeros(4, 8)
for step in range(6):
    hidden = cell(sequence[step], hidden)
    loss = (head(hidden) - sequence[step + 1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
