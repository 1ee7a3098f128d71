import torch
from torch import nn

torch.manual_seed(0)


class GradTap:
    def __init__(self):
        self.seen = []

    def __call__(self, grad):
        self.seen.append(grad)
        return grad.mean(0)


class Model(nn.Module):
    def __init__(self, tap):
        super().__init__()
        self.a, self.b, self.tap = nn.Linear(4, 8), nn.Linear(8, 1), tap

    def forward(self, x):
        h = self.a(x).relu()
        h.register_hook(self.tap)
        return self.b(h)


Model(GradTap())(torch.randn(5, 4)).sum().backward()
