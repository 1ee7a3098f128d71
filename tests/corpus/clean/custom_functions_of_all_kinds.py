"""Custom Functions with optional inputs."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.autograd.function import once_differentiable


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, mode="plain"):
        ctx.save_for_backward(x, scale)
        ctx.mode = mode
        return x * scale

    @staticmethod
    def backward(ctx, grad):
        x, scale = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return grad * scale, None, None
        return grad * scale, (grad * x).sum(0), None


class Clip(torch.autograd.Function):
    @staticmethod
    @once_differentiable
    def jvp(ctx, grad):
        return grad

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 4), nn.Linear(4, 1)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        h = Scale.apply(self.inner(x), self.scale, "fast")
        return self.outer(Clip.apply(Scale.apply(h, torch.tensor(0.5))))


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for step in range(8):
    x = torch.randn(6, 5, requires_grad=True)
    (grad,) = torch.autograd.grad(net(x).sum(), x)
    loss = F.mse_loss(net(x), grad.sum(1, keepdim=True).detach())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
