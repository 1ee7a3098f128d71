"""Gaussian process regression: hyperparameters by marginal likelihood."""

import math

import torch
from torch import nn


def add_jitter(matrix, noise):
    matrix.diagonal().add_(noise)
    return matrix


class RBFKernel(nn.Module):
    def __init__(self):
        super().__init__()
        self.log_lengthscale = nn.Parameter(torch.zeros(1))
        self.log_variance = nn.Parameter(torch.zeros(1))

    def forward(self, a, b):
        d2 = (a.unsqueeze(1) - b.unsqueeze(0)).pow(2).sum(-1)
        log_k = self.log_variance - 0.5 * d2 / self.log_lengthscale.exp() ** 2
        k = log_k.exp()
        return k


class ExactGP(nn.Module):
    def __init__(self):
        super().__init__()
        self.kernel = RBFKernel()
        self.log_noise = nn.Parameter(torch.tensor(-2.0))

    def neg_log_marginal(self, x, y):
        cov = add_jitter(self.kernel(x, x), self.log_noise.exp())
        chol = torch.linalg.cholesky(cov)
        alpha = torch.cholesky_solve(y.unsqueeze(1), chol)
        fit = 0.5 * (y.unsqueeze(0) @ alpha).squeeze()
        complexity = chol.diagonal().log().sum()
        return fit + complexity + 0.5 * len(y) * math.log(2 * math.pi)


def main():
    torch.manual_seed(5)
    x = torch.linspace(-3, 3, 30).unsqueeze(1)
    y = torch.sin(2 * x).squeeze() + 0.1 * torch.randn(30)
    gp = ExactGP()
    optimizer = torch.optim.Adam(gp.parameters(), lr=0.05)
    for step in range(10):
        optimizer.zero_grad()
        nll = gp.neg_log_marginal(x, y)
        nll.backward()
        optimizer.step()
        if step % 5 == 0:
            print(step, nll.item(), gp.kernel.log_lengthscale.exp().item())


if __name__ == "__main__":
    main()
