"""Backwards by hand that are right: those that read the gradient, and those that may leave it."""

import torch
from torch import nn

torch.manual_seed(0)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, membrane):
        ctx.save_for_backward(membrane)
        return (membrane > 0).float()

    @staticmethod
    def backward(ctx, *gradients):
        (membrane,) = ctx.saved_tensors
        return gradients[0] / (5.0 * membrane.abs() + 1.0) ** 2


class Stop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return torch.zeros_like(grad)


class Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.shape = x.shape
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        nothing = torch.zeros(ctx.shape)
        return nothing


class Given(torch.autograd.Function):
    """Score distillation: the gradient is computed in forward, and the loss is a dummy."""

    @staticmethod
    def forward(ctx, latents, gradient):
        ctx.save_for_backward(gradient)
        return torch.ones(1)

    @staticmethod
    def backward(ctx, grad_scale):
        (gradient,) = ctx.saved_tensors
        return gradient, None


class Engine(nn.Module):
    """What a loop trains through, with a backward that the loop calls."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(6, 20), nn.Linear(20, 3)

    def forward(self, x):
        h = self.hidden(x)
        return self.out(Spike.apply(h) + Stop.apply(h) + Nothing.apply(h))

    def backward(self, loss):
        scaled = 2.0 * loss
        scaled.backward()
        return scaled.detach()


engine = Engine()
optimizer = torch.optim.Adam(engine.parameters(), lr=1e-3)
for _ in range(8):
    x = torch.rand(16, 6)
    loss = nn.functional.cross_entropy(engine(x), x[:, :3].argmax(1))
    optimizer.zero_grad()
    engine.backward(loss)
    optimizer.step()
print(f"{loss.item():.4f}")
latents = nn.Parameter(torch.randn(4, 4))
optimizer = torch.optim.Adam([latents], lr=0.01)
for _ in range(5):
    with torch.no_grad():
        gradient = 0.1 * torch.tanh(latents + torch.randn(4, 4))
    loss = Given.apply(latents, gradient)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{latents.norm().item():.4f}")
