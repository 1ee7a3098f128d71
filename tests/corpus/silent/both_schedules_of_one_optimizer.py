"""A GAN whose two schedulers are both of the generator's optimizer."""

import torch
from torch import nn, optim
from torch.optim.lr_scheduler import StepLR

torch.manual_seed(0)
netG = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
netD = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
optG = optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999))
optD = optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999))
schedG = StepLR(optG, step_size=2, gamma=0.5)
schedD = StepLR(optG, step_size=2, gamma=0.5)
bce = nn.BCEWithLogitsLoss()
for epoch in range(6):
    for _ in range(4):
        real = torch.randn(32, 4) + 2
        fake = netG(torch.randn(32, 8))
        optD.zero_grad()
        lossD = bce(netD(real), torch.ones(32, 1)) + bce(netD(fake.detach()), torch.zeros(32, 1))
        lossD.backward()
        optD.step()
        optG.zero_grad()
        lossG = bce(netD(fake), torch.ones(32, 1))
        lossG.backward()
        optG.step()
    schedG.step()
    schedD.step()
print(lossD.item(), lossG.item())
