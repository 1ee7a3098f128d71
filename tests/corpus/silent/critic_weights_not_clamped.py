"""A Wasserstein critic whose weights are to be clipped after each step."""

import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optimizer_g = torch.optim.RMSprop(generator.parameters(), lr=5e-4)
optimizer_c = torch.optim.RMSprop(critic.parameters(), lr=5e-4)


def critic_step(real, bound=0.05):
    fake = generator(torch.randn(len(real), 3)).detach()
    loss = critic(fake).mean() - critic(real).mean()
    optimizer_c.zero_grad()
    loss.backward()
    optimizer_c.step()
    with torch.no_grad():
        for p in critic.parameters():
            p.clamp(-bound, bound)
    return loss.item()


for step in range(10):
    for _ in range(3):
        lossc = critic_step(torch.randn(32, 2) + 2)
    lossg = -critic(generator(torch.randn(32, 3))).mean()
    optimizer_g.zero_grad()
    lossg.backward()
    optimizer_g.step()
print(lossc, lossg.item())
