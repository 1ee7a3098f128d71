"""Pointer network that visits cities one by one, trained with REINFORCE."""

import argparse

import torch
from torch import nn
from torch.distributions import Categorical


class PointerNet(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.embed = nn.Linear(2, dim)
        self.cell = nn.GRUCell(dim, dim)
        self.query = nn.Linear(dim, dim)

    def forward(self, cities):
        batch, n, _ = cities.shape
        rows = torch.arange(batch)
        visited_flag = torch.tensor(True)
        keys = self.embed(cities)
        h = keys.mean(dim=1)
        last = torch.zeros_like(h)
        mask = torch.zeros(batch, n, dtype=torch.bool)
        tour, log_probs = [], []
        for _ in range(n):
            h = self.cell(last, h)
            scores = (keys @ self.query(h).unsqueeze(2)).squeeze(2)
            logits = scores.masked_fill(mask, -1e4)
            dist = Categorical(logits=logits)
            choice = dist.sample()
            log_probs.append(dist.log_prob(choice))
            tour.append(choice)
            mask.index_put_((rows, choice), visited_flag)
            last = keys[rows, choice]
        return torch.stack(tour, dim=1), torch.stack(log_probs, dim=1).sum(dim=1)


def tour_length(cities, tour):
    path = cities.gather(1, tour.unsqueeze(2).expand(-1, -1, 2))
    return (path - path.roll(1, dims=1)).norm(dim=2).sum(dim=1)


def train(model, steps, batch, n_cities):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    baseline = None
    for step in range(steps):
        cities = torch.rand(batch, n_cities, 2)
        tour, log_prob = model(cities)
        length = tour_length(cities, tour)
        mean = length.mean()
        baseline = mean if baseline is None else 0.9 * baseline + 0.1 * mean
        loss = ((length - baseline) * log_prob).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} tour length {mean.item():.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--cities", type=int, default=6)
    args = parser.parse_args()
    torch.manual_seed(2)
    train(PointerNet(32), args.steps, batch=16, n_cities=args.cities)
