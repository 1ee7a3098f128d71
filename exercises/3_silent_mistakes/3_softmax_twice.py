"""Probabilities of probabilities.

A classifier that ends in a softmax, as it should, or so it seems. The loss stops falling long
before every point is right. Mend it.

part: Silent mistakes
expect: GL115 at `the loss`
assert: optimizer applies the gradient of loss alone
assert: optimizer changes model
assert: optimizer makes 20 steps
assert: loss ends below 0.5
hint: Where to look: the last layer of the model and the first thing that the loss does. What does
    nn.CrossEntropyLoss expect as its input, according to its documentation?
hint: Why: CrossEntropyLoss takes logits and applies log_softmax itself. Of probabilities between
    0 and 1 a second softmax can make nothing near 0 or 1, so the loss cannot come down and the
    gradients are small.
lesson: A model gives logits; the loss knows what to do with them.
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)

for step in range(20):
    y = torch.randint(0, 3, (64,))
    x = torch.randn(64, 2) * 0.3 + torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])[y]
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
