"""A spiking layer's surrogate gradient is its own slope, and forgets the gradient it is given."""

import torch
from torch import nn

torch.manual_seed(0)


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, membrane, slope):
        ctx.save_for_backward(membrane)
        ctx.slope = slope
        return (membrane > 0).float()

    @staticmethod
    def backward(ctx, grad_output):
        (membrane,) = ctx.saved_tensors
        grad = 1.0 / (ctx.slope * membrane.abs() + 1.0) ** 2
        return grad, None


class Spiking(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(6, 20)
        self.readout = nn.Linear(20, 3)

    def forward(self, inputs):
        membrane, spikes = torch.zeros(inputs.shape[1], 20), 0.0
        for x in inputs:
            membrane = 0.8 * membrane + self.hidden(x)
            spikes = spikes + Spike.apply(membrane - 0.5, 25.0)
        return self.readout(spikes / len(inputs))


net = Spiking()
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(8):
    inputs = torch.rand(5, 16, 6)
    loss = nn.functional.cross_entropy(net(inputs), inputs.mean(0)[:, :3].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, f"{loss.item():.4f}")
