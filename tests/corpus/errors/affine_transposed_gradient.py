"""A linear layer with a hand-written backward."""

import torch
from torch import nn
from torch.nn import functional as F


class Affine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.t() + bias

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_x = grad @ weight
        grad_weight = x.t() @ grad
        return grad_x, grad_weight, grad.sum(0)


class Layer(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return Affine.apply(x, self.weight, self.bias)


def main():
    torch.manual_seed(0)
    net = nn.Sequential(Layer(4, 4), nn.Tanh(), Layer(4, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(3):
        loss = F.mse_loss(net(torch.randn(6, 4)), torch.randn(6, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


main()
