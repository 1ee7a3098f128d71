"""A head on the inner features of an encoder, which a forward hook keeps."""

import torch
from torch import nn


class Tap(nn.Module):
    def __init__(self, encoder, layer):
        super().__init__()
        self.encoder, self.kept = encoder, None
        getattr(encoder, layer).register_forward_hook(self.keep)

    def keep(self, module, inputs, output):
        self.kept = output.detach()

    def forward(self, x):
        self.encoder(x)
        return self.kept


class Encoder(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, width), nn.Tanh())
        self.outer = nn.Linear(width, 4)

    def forward(self, x):
        return self.outer(self.inner(x))


torch.manual_seed(9)
tap, head = Tap(Encoder(), "inner"), nn.Linear(12, 1)
optimizer = torch.optim.Adam([*tap.encoder.inner.parameters(), *head.parameters()], lr=1e-2)
for step in range(12):
    x = torch.randn(16, 6)
    loss = (head(tap(x)) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
