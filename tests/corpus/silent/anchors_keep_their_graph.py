"""Learn a second task with the weights kept near to those of the first, by elastic weight
consolidation.

The old weights are kept by clone() alone, which autograd records: what pulls a weight to its old
value has the gradient once with a plus and once, through the copy, with a minus.
"""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
criterion = nn.CrossEntropyLoss()


def batches(shift):
    for _ in range(6):
        x = torch.randn(16, 10) + shift
        yield x, x[:, :4].argmax(1)


for x, y in batches(0.0):
    loss = criterion(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

old = {name: p.clone() for name, p in net.named_parameters()}

for x, y in batches(1.0):
    penalty = 0.0
    for name, p in net.named_parameters():
        penalty = penalty + ((p - old[name]) ** 2).sum()
    loss = criterion(net(x), y) + 10 * penalty
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(round(loss.item(), 3), round(penalty.item(), 4))
