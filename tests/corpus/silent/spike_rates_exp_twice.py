"""Rates of neurons, made by exp() in the model, for a Poisson loss that takes their logarithm."""

import torch
from torch import nn


class Readout(nn.Module):
    def __init__(self, stimuli, neurons):
        super().__init__()
        self.core = nn.Sequential(nn.Linear(stimuli, 24), nn.Tanh())
        self.rates = nn.Linear(24, neurons)

    def forward(self, stimulus):
        return torch.exp(self.rates(self.core(stimulus)))


torch.manual_seed(0)
mixing = 0.5 * torch.randn(3, 5)
model = Readout(3, 5)
criterion = nn.PoissonNLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(12):
    stimulus = torch.randn(32, 3)
    counts = torch.poisson(torch.exp(stimulus @ mixing))
    rates = model(stimulus)
    loss = criterion(rates.flatten(), counts.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
