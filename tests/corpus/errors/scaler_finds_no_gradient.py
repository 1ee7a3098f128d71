"""A generator whose images are drawn in chunks, trained in mixed precision."""

import torch
from torch import nn
from torch.nn.functional import softplus

torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, z):
        return self.net(z)

    def in_chunks(self, z, size=8):
        with torch.no_grad():
            return torch.cat([self(part) for part in z.split(size)])


generator, critic = Generator(), nn.Linear(8, 1)
steps_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
steps_c = torch.optim.Adam(critic.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
for step in range(3):
    fake = generator(torch.randn(16, 4)).detach()
    real = torch.rand(16, 8)
    loss_c = softplus(critic(fake)).mean() + softplus(-critic(real)).mean()
    steps_c.zero_grad()
    scaler.scale(loss_c).backward()
    scaler.step(steps_c)
    loss_g = softplus(-critic(generator.in_chunks(torch.randn(16, 4)))).mean()
    steps_g.zero_grad()
    scaler.scale(loss_g).backward()
    scaler.step(steps_g)
    scaler.update()
    print(step, loss_c.item(), loss_g.item())
