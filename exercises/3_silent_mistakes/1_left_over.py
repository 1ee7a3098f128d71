"""Yesterday's gradient.

The loop runs, and the loss goes up and down more than it should. Nothing is said to be wrong.
Something of every iteration is still there in the next. Mend it.

part: Silent mistakes
expect: GL102 at `optimizer.step()`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes model
assert: optimizer makes 20 steps
assert: loss ends below 0.1
hint: Where to look: what does backward do with a .grad that is already there?
hint: Why: backward adds to .grad, it does not replace it. Without zero_grad() the second step
    applies the first gradient again, the third both, and so on: all the past at full weight.
lesson: One zero_grad() for each step(), before the backward whose gradients that step is to apply.
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for step in range(20):
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    loss = (model(x) - y).square().mean()
    loss.backward()
    optimizer.step()
