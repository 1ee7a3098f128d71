"""A layer that is the end of an iteration: its forward solves in place, and keeps what it found."""

import torch
from torch import nn

torch.manual_seed(0)


class Equilibrium(torch.autograd.Function):
    """The z with z = w / 2 + z / 2, by steps that write z past autograd."""

    @staticmethod
    def forward(ctx, start, w):
        z = start.detach().clone()
        for _ in range(40):
            z.data.sub_(0.5 * (z - w))
        ctx.save_for_backward(z)
        return z.clone()

    @staticmethod
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return None, grad + 0 * z


w = nn.Parameter(torch.randn(5))
optimizer = torch.optim.SGD([w], lr=0.1)
for step in range(6):
    z = Equilibrium.apply(torch.zeros(5), w)
    loss = (z - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
