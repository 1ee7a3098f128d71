import torch
from torch import nn
from torch.nn import functional as F


class Kernel(nn.Module):
    def __init__(self):
        super().__init__()
        self.raw_lengthscale = nn.Parameter(torch.zeros(1))
        self.raw_outputscale = nn.Parameter(torch.zeros(1))

    @property
    def lengthscale(self):
        return F.softplus(self.raw_lengthscale)

    @property
    def outputscale(self):
        return F.softplus(self.raw_outputscale)

    def forward(self, x):
        distance = (x[:, None] - x[None, :]) / self.lengthscale
        return self.outputscale * torch.exp(-0.5 * distance.square())


def main():
    torch.manual_seed(0)
    x = torch.linspace(0, 1, 20)
    y = torch.sin(6 * x)
    kernel = Kernel()
    # The length scale is known.
    kernel.lengthscale.requires_grad = False
    optimizer = torch.optim.Adam([p for p in kernel.parameters() if p.requires_grad], lr=0.1)
    for _ in range(10):
        covariance = kernel(x) + 0.1 * torch.eye(len(x))
        loss = -torch.distributions.MultivariateNormal(torch.zeros(20), covariance).log_prob(y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
