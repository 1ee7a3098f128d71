"""SimSiam: two views, one encoder, a predictor, and a stop-gradient on the other side."""

import torch
import torch.nn.functional as F
from torch import nn


class SimSiam(nn.Module):
    def __init__(self, n_in=12, dim=16, pred_dim=8):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(n_in, dim, bias=False),
            nn.BatchNorm1d(dim),
            nn.ReLU(inplace=True),
            nn.Linear(dim, dim, bias=False),
            nn.BatchNorm1d(dim, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(dim, pred_dim, bias=False),
            nn.BatchNorm1d(pred_dim),
            nn.ReLU(inplace=True),
            nn.Linear(pred_dim, dim),
        )

    def forward(self, x1, x2):
        z1, z2 = self.encoder(x1), self.encoder(x2)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return p1, p2, z1.detach(), z2.detach()


class TwoCrops:
    def __init__(self, noise):
        self.noise = noise

    def __call__(self, x):
        def crop():
            keep = (torch.rand_like(x) > 0.15).float()
            return x * keep + self.noise * torch.randn_like(x)

        return crop(), crop()


def collapse(z):
    return F.normalize(z, dim=1).std(dim=0).mean().item()


def main():
    torch.manual_seed(0)
    model = SimSiam()
    augment = TwoCrops(noise=0.1)
    groups = [
        {"params": model.encoder.parameters(), "fix_lr": False},
        {"params": model.predictor.parameters(), "fix_lr": True},
    ]
    optimizer = torch.optim.SGD(groups, lr=0.05, momentum=0.9, weight_decay=1e-4)
    for step in range(20):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 if group["fix_lr"] else 0.05 * (1 - step / 40)
        p1, p2, z1, z2 = model(*augment(torch.randn(32, 12)))
        loss = -(F.cosine_similarity(p1, z2).mean() + F.cosine_similarity(p2, z1).mean()) * 0.5
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            print(f"step {step} loss {loss.item():+.4f} spread {collapse(z1):.3f}")


if __name__ == "__main__":
    main()
