import copy

import torch
from torch import nn


class Denoiser(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.inp = nn.Linear(3, hidden)
        self.out = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2))

    def forward(self, x, t):
        return self.out(self.inp(torch.cat([x, t], dim=1)))


@torch.no_grad()
def update_average(target, source, beta):
    for p_target, p_source in zip(target.parameters(), source.parameters(), strict=True):
        p_target.copy_(beta * p_target + (1 - beta) * p_source)


def main():
    torch.manual_seed(0)
    model = Denoiser()
    smooth_model = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(20):
        clean = torch.randn(32, 2) * torch.tensor([1.0, 0.2])
        noise, t = torch.randn(32, 2), torch.rand(32, 1)
        loss = (model((1 - t) * clean + t * noise, t) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_average(model, smooth_model, beta=0.999)
    sample = smooth_model(torch.randn(8, 2), torch.ones(8, 1))
    print(f"loss {loss.item():.4f} sample {sample.std().item():.4f}")


main()
