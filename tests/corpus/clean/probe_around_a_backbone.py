"""Linear probing of a pretrained encoder that sits between two layers which are trained."""

import torch
import torch.nn.functional as F
from torch import nn


class Probe(nn.Module):
    def __init__(self, channels=6, classes=3):
        super().__init__()
        self.spatial = nn.Conv1d(channels, 4, 1)
        self.encoder = nn.Sequential(nn.Conv1d(4, 8, 5, stride=2), nn.GELU(), nn.Dropout(0.1))
        self.middle = nn.Linear(8, 8)
        self.out = nn.Linear(8, classes)

    def forward(self, signal):
        self.encoder.eval()
        features = self.encoder(self.spatial(signal)).mean(-1)
        return self.out(torch.relu(self.middle(features)))

    def trained(self):
        for each in (self.spatial, self.middle, self.out):
            yield from each.parameters()


torch.manual_seed(0)
probe = Probe()
optimizer = torch.optim.AdamW(probe.trained(), lr=0.01)
for step in range(12):
    probe.train()
    signal, label = torch.randn(8, 6, 32), torch.randint(0, 3, (8,))
    loss = F.cross_entropy(probe(signal), label)
    probe.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 4 == 3:
        print(f"step {step} loss {loss.item():.3f}")
