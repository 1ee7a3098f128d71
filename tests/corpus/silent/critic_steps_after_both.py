"""A GAN in two losses for D, as in the DCGAN example: D steps at the end, on G's loss as well."""

import torch
from torch import nn

torch.manual_seed(0)
netG = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
netD = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
real_label, fake_label = torch.ones(12, 1), torch.zeros(12, 1)

for step in range(10):
    netD.zero_grad()
    errD_real = criterion(netD(torch.randn(12, 2) + 2), real_label)
    errD_real.backward()
    fake = netG(torch.randn(12, 3))
    errD_fake = criterion(netD(fake.detach()), fake_label)
    errD_fake.backward()
    netG.zero_grad()
    errG = criterion(netD(fake), real_label)
    errG.backward()
    optimizerD.step()
    optimizerG.step()
print(f"{errD_real.item():.4f} {errG.item():.4f}")
