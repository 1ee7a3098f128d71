"""Channel gate with a skip: the activation changes in place what the gate's product had saved."""

import torch
from torch import nn


class ChannelGate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(channels, channels), nn.Sigmoid())
        self.activation = nn.ELU(inplace=True)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, features):
        weight = self.gate(features.mean((2, 3)))[:, :, None, None]
        gated = features * weight
        skip = self.mix(self.activation(features))
        return gated + skip


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.gate = ChannelGate(6)
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, image):
        return self.head(self.gate(self.stem(image)))


torch.manual_seed(1)
model = Segmenter()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(3):
    image = torch.rand(4, 1, 8, 8)
    mask = (image[:, 0] > 0.5).long()
    loss = nn.functional.cross_entropy(model(image), mask)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} {loss.item():.4f}")
