"""Two tasks, weighted by uncertainties that should be learned with the network."""

import torch
from torch import nn


class Weighting(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_sigma = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(2)])

    def forward(self, losses):
        weights = [torch.exp(-sigma.detach()) for sigma in self.log_sigma]
        return sum(w * loss for w, loss in zip(weights, losses)).squeeze()


def main():
    torch.manual_seed(21)
    body, weighting = nn.Linear(8, 2), Weighting()
    optimizer = torch.optim.Adam([*body.parameters(), *weighting.parameters()], lr=1e-2)
    for step in range(14):
        x = torch.randn(32, 8)
        out = body(x)
        first = (out[:, 0] - x.sum(1)).square().mean()
        second = (out[:, 1] - x[:, 0]).abs().mean()
        loss = weighting([first, second])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


if __name__ == "__main__":
    main()
