"""Two weights and one number between them: a stale gradient that can be worked out by hand.

first makes h, second makes y of it. The gradient of y by first is second itself: 3. But before it
is computed, second is stepped to 1, in place. PyTorch refuses; with the value of now it would be 1.

graphlab run examples/two_weights.py --html two_weights.html
"""

import torch

first = torch.tensor([2.0], requires_grad=True)
second = torch.tensor([3.0], requires_grad=True)
optimizer_1 = torch.optim.SGD([first], lr=0.1)
optimizer_2 = torch.optim.SGD([second], lr=0.1)

h = first * 1.0
y = second * h
loss_2 = (y - 1).square().sum()
loss_2.backward(retain_graph=True)
optimizer_2.step()

optimizer_1.zero_grad()
loss_1 = y.sum()
loss_1.backward()
optimizer_1.step()
