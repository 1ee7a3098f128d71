"""Layers of plain tensors, and a gradient descent of one's own in a class beside them."""

import torch


class Descent:
    def __init__(self, weights, rate):
        self.weights, self.rate = weights, rate

    def step(self):
        with torch.no_grad():
            for weight in self.weights:
                weight -= self.rate * weight.grad


class Dense:
    def __init__(self, given, made):
        self.weight = (0.3 * torch.randn(given, made)).requires_grad_()
        self.bias = torch.zeros(made, requires_grad=True)

    def __call__(self, x):
        return x @ self.weight + self.bias


def train(layers, descent, steps):
    for step in range(steps):
        x = torch.randn(32, 3)
        loss = (layers[1](layers[0](x).relu()) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        descent.step()
        print(step, loss.item())


torch.manual_seed(0)
layers = [Dense(3, 8), Dense(8, 1)]
weights = [each for layer in layers for each in (layer.weight, layer.bias)]
train(layers, Descent(weights, 0.02), 12)
