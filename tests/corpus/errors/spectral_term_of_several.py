import torch
from torch import nn

torch.manual_seed(0)


class Spectral(nn.Module):
    def forward(self, y, t):
        gap = torch.fft.rfft(y) - torch.fft.rfft(t)
        return gap.pow(2).mean()


class Objective:
    def __init__(self):
        self.parts = {"mse": nn.MSELoss(), "fft": Spectral()}
        self.weights = {"mse": 1.0, "fft": 0.1}

    def __call__(self, y, t):
        losses = {k: self.weights[k] * f(y, t) for k, f in self.parts.items()}
        return sum(losses.values()), losses


net, objective = nn.Linear(8, 8), Objective()
total, parts = objective(net(torch.randn(4, 8)), torch.randn(4, 8))
total.backward()
