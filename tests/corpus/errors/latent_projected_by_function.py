"""Latent optimisation: a custom Function clips the code in place and says so with mark_dirty."""

import torch
from torch import nn


class Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, code, bound):
        inside = code.abs() <= bound
        code.clamp_(-bound, bound)
        ctx.save_for_backward(inside)
        ctx.mark_dirty(code)
        return code

    @staticmethod
    def backward(ctx, grad):
        (inside,) = ctx.saved_tensors
        return grad * inside, None


torch.manual_seed(4)
decoder = nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 8))
for parameter in decoder.parameters():
    parameter.requires_grad_(False)
observed = torch.rand(2, 8)
code = torch.zeros(2, 3, requires_grad=True)
optimizer = torch.optim.Adam([code], lr=0.1)
for step in range(4):
    clipped = Clip.apply(code, 1.0)
    loss = (decoder(clipped) - observed).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} {loss.item():.4f}")
