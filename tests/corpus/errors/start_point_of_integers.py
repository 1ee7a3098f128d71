"""The start of a minimisation is given in integers, and told to require grad."""

import torch


def minimise(function, start, lr=1e-3, steps=5):
    point = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.SGD([point], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        value = function(point)
        value.backward()
        optimizer.step()
    return point.detach()


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


print(minimise(rosenbrock, [-1.5, 2.0]))
print(minimise(rosenbrock, [2, 3]))
