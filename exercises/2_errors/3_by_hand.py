"""Gradient descent by hand.

No optimizer this time: the update is written out. The first update stops. Mend it. `w` and `b`
stay the two leaves that they are.

part: Errors
expect: GL003 at `w -= …`
assert: loss reaches w and b
assert: loss ends below 0.1
assert: .data is not used
hint: Where to look: the two lines with `-=`. Is the update itself something that has to be
    differentiated?
hint: Why: w is a leaf that requires grad, and autograd is recording. An in-place write to it would
    be part of the graph, and the leaf would be none any more; PyTorch refuses. Tell autograd that
    these lines are not to be recorded: with torch.no_grad(). `.data` would do the same to the
    numbers, but unseen by the version counter.
lesson: Updates are not part of the model: write parameters under torch.no_grad().
"""

import torch

torch.manual_seed(0)
x = torch.linspace(-1, 1, 32)[:, None]
y = 3 * x + 1
w = torch.zeros(1, 1, requires_grad=True)
b = torch.zeros(1, requires_grad=True)

for step in range(60):
    loss = (x @ w + b - y).square().mean()
    loss.backward()
    w -= 0.2 * w.grad
    b -= 0.2 * b.grad
    w.grad.zero_()
    b.grad.zero_()
