"""Hinge-loss critic with a hand-written spectral normalisation."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SNLinear(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.orthogonal_(self.weight)
        self.register_buffer("u", F.normalize(torch.randn(n_out), dim=0))

    def spectral_norm(self):
        with torch.no_grad():
            v = F.normalize(self.weight.t() @ self.u, dim=0)
            self.u.copy_(F.normalize(self.weight @ v, dim=0))
        return torch.dot(self.u, self.weight @ v)

    def forward(self, x):
        return F.linear(x, self.weight / self.spectral_norm(), self.bias)


class Critic(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        self.fc = SNLinear(n_in, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.out(F.leaky_relu(self.fc(x), 0.2))


def hinge_d(real_score, fake_score):
    return F.relu(1 - real_score).mean() + F.relu(1 + fake_score).mean()


def main():
    torch.manual_seed(30)
    gen = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 8))
    disc = Critic(8, 32)
    opts = {
        "g": torch.optim.Adam(gen.parameters(), lr=1e-4, betas=(0.0, 0.9)),
        "d": torch.optim.Adam(disc.parameters(), lr=4e-4, betas=(0.0, 0.9)),
    }
    for step in range(4):
        real = torch.randn(32, 8) * 0.5 + 1.0
        fake = gen(torch.randn(32, 4)).detach()
        loss_d = hinge_d(disc(real), disc(fake))
        opts["d"].zero_grad()
        loss_d.backward()
        opts["d"].step()

        loss_g = -disc(gen(torch.randn(32, 4))).mean()
        opts["g"].zero_grad()
        loss_g.backward()
        opts["g"].step()
        print(step, loss_d.item(), loss_g.item())


if __name__ == "__main__":
    main()
