import torch
from torch import nn

torch.manual_seed(0)


class Phase(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Parameter(torch.tensor(0.3))
        self.b = nn.Parameter(torch.tensor(0.2))

    def amplitude(self):
        return torch.complex(self.a.sin(), self.b.cos())

    def forward(self):
        z = self.amplitude()
        return z * z


m = Phase()
value = m()
loss = value * 2
loss.backward()
