"""A GAN whose generator's part steps the discriminator's optimizer once more."""

import torch
from torch import nn

torch.manual_seed(0)


def main():
    net_g = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
    net_d = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optim_g = torch.optim.Adam(net_g.parameters(), lr=2e-4)
    optim_d = torch.optim.Adam(net_d.parameters(), lr=2e-4)
    criterion = nn.BCEWithLogitsLoss()
    ones, zeros = torch.ones(8, 1), torch.zeros(8, 1)
    for step in range(16):
        net_d.zero_grad()
        fake = net_g(torch.randn(8, 4))
        real = torch.randn(8, 6) + 2
        err_d = criterion(net_d(real), ones) + criterion(net_d(fake.detach()), zeros)
        err_d.backward()
        optim_d.step()

        net_g.zero_grad()
        err_g = criterion(net_d(fake), ones)
        err_g.backward()
        optim_d.step()
        print(step, round(err_d.item(), 4), round(err_g.item(), 4))


if __name__ == "__main__":
    main()
