"""Right: a feature network with a requires_grad argument of its own, as perceptual losses have."""

import torch
from torch import nn


class Features(nn.Module):
    def __init__(self, requires_grad=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.requires_grad = requires_grad
        if not requires_grad:
            for param in self.parameters():
                param.requires_grad = False

    def forward(self, x):
        return self.layers(x)


if __name__ == "__main__":
    torch.manual_seed(8)
    features, model = Features(), nn.Linear(8, 8)
    optimizer = torch.optim.Adam([*model.parameters(), *features.parameters()], lr=1e-2)
    for step in range(10):
        x = torch.randn(16, 8)
        loss = (features(model(x)) - features(x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
