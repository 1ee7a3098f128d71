"""Poisson losses that are given what they take: rates, or the logarithms of rates."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
model = nn.Linear(3, 5)
of_rates = nn.PoissonNLLLoss(log_input=False)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(12):
    x = torch.randn(32, 3)
    counts = torch.poisson(torch.exp(x.repeat(1, 2)[:, :5]))
    logs = model(x)
    loss = of_rates(logs.exp(), counts) + F.poisson_nll_loss(logs, counts)
    # A gain of each neuron, which exp() keeps above 0, is no rate.
    gain = logs.mean(0).exp()
    loss = loss + F.poisson_nll_loss(logs * gain, counts, log_input=True)
    loss = loss + F.poisson_nll_loss(F.softplus(logs), counts, False)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
