"""A GAN whose discriminator makes two steps, and whose generator waits longer than this run."""

import torch
from torch import nn

torch.manual_seed(0)
WAIT = 50


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
        err_d = criterion(net_d(torch.randn(8, 6) + 2), ones)
        err_d = err_d + criterion(net_d(fake.detach()), zeros)
        err_d.backward()
        optim_d.step()

        net_d.zero_grad()
        again = criterion(net_d(net_g(torch.randn(8, 4)).detach()), zeros)
        again.backward()
        optim_d.step()

        if step >= WAIT:
            net_g.zero_grad()
            criterion(net_d(fake), ones).backward()
            optim_g.step()
        print(step, round(err_d.item(), 4), round(again.item(), 4))


if __name__ == "__main__":
    main()
