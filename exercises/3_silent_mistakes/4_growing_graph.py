"""Every iteration a little slower.

The mean of the loss is kept for the log. The loop is right and its memory grows, until one night
the machine has none left. Mend it without giving up the mean.

part: Silent mistakes
expect: GL106 at no call
assert: optimizer applies the gradient of loss alone
assert: optimizer changes model
assert: optimizer makes 8 steps
assert: the graph stays the same size
hint: Where to look: which variable outlives the iteration, and what is in it besides a number?
hint: Why: loss is a tensor with a graph behind it. total + loss is one more node on top of all
    graphs so far, and as long as total lives, none of them can be freed.
lesson: Keep numbers, not tensors with a history: loss.item(), or loss.detach().
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

total = 0.0
for step in range(8):
    x = torch.randn(32, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total = total + loss
print(f"mean loss {float(total) / 8:.3f}")
