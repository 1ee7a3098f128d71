"""A speaker classifier behind a layer that turns gradients round; its activation saves memory."""

import torch
from torch import nn


class TurnRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features, weight):
        ctx.weight = weight
        return features.view_as(features)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.weight * gradient, None


class Speaker(nn.Module):
    def __init__(self, width, speakers):
        super().__init__()
        self.squash = nn.LeakyReLU(0.1, inplace=True)
        self.scores = nn.Linear(width, speakers)

    def forward(self, features):
        turned = TurnRound.apply(features, 0.3)
        return self.scores(self.squash(turned))


torch.manual_seed(8)
encoder, speaker = nn.Linear(10, 16), Speaker(16, 3)
optimizer = torch.optim.Adam([*encoder.parameters(), *speaker.parameters()], lr=1e-3)
for step in range(3):
    frames, who = torch.randn(8, 10), torch.randint(0, 3, (8,))
    loss = nn.functional.cross_entropy(speaker(encoder(frames)), who)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
