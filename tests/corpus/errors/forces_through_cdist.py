"""A small interatomic potential that is trained on energies and forces."""

import torch
import torch.nn as nn


class Potential(nn.Module):
    def __init__(self, n_rbf=16, cutoff=4.0):
        super().__init__()
        self.register_buffer("centers", torch.linspace(0.5, cutoff, n_rbf))
        self.net = nn.Sequential(nn.Linear(n_rbf, 32), nn.SiLU(), nn.Linear(32, 1))

    def forward(self, pos):
        d = torch.cdist(pos, pos)
        off = ~torch.eye(pos.shape[0], dtype=torch.bool)
        rbf = torch.exp(-4.0 * (d[off].unsqueeze(-1) - self.centers) ** 2)
        return self.net(rbf).sum() / 2


def lennard_jones(pos):
    diff = pos.unsqueeze(0) - pos.unsqueeze(1)
    r2 = diff.pow(2).sum(-1) + torch.eye(pos.shape[0])
    off = 1 - torch.eye(pos.shape[0])
    return (off * (r2 ** -6 - r2 ** -3)).sum() / 2


torch.manual_seed(17)
model = Potential()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
grid = torch.cartesian_prod(*[torch.arange(2.0)] * 3) * 1.3
for step in range(5):
    pos = (grid + 0.1 * torch.randn_like(grid)).requires_grad_(True)
    energy_ref = lennard_jones(pos)
    forces_ref = -torch.autograd.grad(energy_ref, pos)[0]

    energy = model(pos)
    forces = -torch.autograd.grad(energy, pos, create_graph=True)[0]
    loss = (energy - energy_ref.detach()) ** 2 + 10 * (forces - forces_ref).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item())
