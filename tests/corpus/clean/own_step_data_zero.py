"""Stochastic gradient descent by hand, with the old idiom that clears through `.data`."""

import torch

x_data = [1.0, 2.0, 3.0]
y_data = [2.0, 4.0, 6.0]
w = torch.tensor([1.0], requires_grad=True)


def forward(x):
    return x * w


def loss(y_pred, y):
    return (y_pred - y) ** 2


for epoch in range(10):
    for x, y in zip(x_data, y_data):
        l = loss(forward(x), y)
        l.backward()
        w.data = w.data - 0.01 * w.grad.item()
        w.grad.data.zero_()
print(f"{forward(4).item():.4f}")
