import torch
from torch import nn
from torch.func import vmap


def powers(x, count):
    found = x.new_zeros(count)
    for at in range(count):
        found[at] = x ** (at + 1)
    return found


def running_mean(values):
    total = torch.zeros_like(values[0])
    for value in values:
        total += value
    return total / len(values)


torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(8):
    x = torch.randn(16, 4)
    features = vmap(vmap(lambda each: powers(each, 3)))(x)
    pooled = vmap(running_mean)(features)
    loss = (model(pooled).squeeze(1) - x.mean(1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
