"""A pretrained encoder, saved within its autoencoder, is loaded with names that do not fit."""

import io

import torch
import torch.nn.functional as F
from torch import nn


class AutoEncoder(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Linear(8, 12)

    def forward(self, x):
        return self.decoder(self.encoder(x))


def encoder():
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 8))


def pretrain(x):
    model = AutoEncoder(encoder())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(6):
        loss = F.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    return file


torch.manual_seed(0)
x = torch.randn(48, 12)
saved = pretrain(x)
features = encoder()
features.load_state_dict(torch.load(saved), strict=False)
features.requires_grad_(False)
probe = nn.Linear(8, 2)
optimizer = torch.optim.SGD(probe.parameters(), lr=0.1)
for step in range(12):
    loss = F.cross_entropy(probe(features(x)), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
