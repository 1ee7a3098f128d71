"""Losses over all pairs that mean them: a ranking, a distance between samples, and a kernel."""

import torch
import torch.nn.functional as F
from torch import nn


def ranknet(scores, relevance):
    apart = scores - scores.squeeze(1)
    better = (relevance[:, None] > relevance).float()
    return (better * F.softplus(-apart)).sum() / better.sum()


def energy_distance(ours, theirs):
    between = (ours - theirs).abs().mean()
    within = (ours - ours.T).abs().mean()
    return 2 * between - within


def kernel_discrepancy(ours, theirs, width=1.0):
    def kernel(a, b):
        return torch.exp(-((a - b) ** 2) / width).mean()

    return kernel(ours, ours.T) + kernel(theirs[:, None], theirs) - 2 * kernel(ours, theirs)


torch.manual_seed(0)
scorer, sampler = nn.Linear(5, 1), nn.Linear(2, 1)
optimizer = torch.optim.Adam([*scorer.parameters(), *sampler.parameters()], lr=0.02)
for step in range(12):
    documents = torch.randn(16, 5)
    samples, data = sampler(torch.randn(16, 2)), 2 + torch.randn(16)
    loss = ranknet(scorer(documents), documents[:, 0])
    loss = loss + energy_distance(samples, data) + kernel_discrepancy(samples, data)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 4 == 3:
        print(f"step {step} loss {loss.item():.3f}")
