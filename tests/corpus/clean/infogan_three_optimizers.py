"""InfoGAN: a third optimizer moves G and D together for the code that the images should show."""

import itertools

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4 + 3, 16), nn.ReLU(), nn.Linear(16, 6))

    def forward(self, z, code):
        return self.net(torch.cat([z, code], 1))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2))
        self.real, self.code = nn.Linear(16, 1), nn.Linear(16, 3)

    def forward(self, x):
        h = self.body(x)
        return self.real(h), self.code(h)


torch.manual_seed(8)
G, D = Generator(), Discriminator()
optimizer_G = torch.optim.Adam(G.parameters(), lr=2e-3)
optimizer_D = torch.optim.Adam(D.parameters(), lr=2e-3)
optimizer_info = torch.optim.Adam(itertools.chain(G.parameters(), D.parameters()), lr=2e-3)
ones, zeros = torch.ones(12, 1), torch.zeros(12, 1)
for step in range(12):
    images = torch.randn(12, 6) * 0.5 + 1.0
    labels = torch.randint(0, 3, (12,))
    code = torch.eye(3)[labels]
    optimizer_G.zero_grad()
    fake = G(torch.randn(12, 4), code)
    g_loss = binary_cross_entropy_with_logits(D(fake)[0], ones)
    g_loss.backward()
    optimizer_G.step()
    optimizer_D.zero_grad()
    d_real = binary_cross_entropy_with_logits(D(images)[0], ones)
    d_fake = binary_cross_entropy_with_logits(D(fake.detach())[0], zeros)
    d_loss = (d_real + d_fake) / 2
    d_loss.backward()
    optimizer_D.step()
    optimizer_info.zero_grad()
    info_loss = cross_entropy(D(G(torch.randn(12, 4), code))[1], labels)
    info_loss.backward()
    optimizer_info.step()
print(f"{g_loss.item():.4f} {d_loss.item():.4f} {info_loss.item():.4f}")
