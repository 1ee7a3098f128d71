import torch
from torch import nn

torch.manual_seed(0)
recon = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 3, padding=1))
disc = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
l1 = nn.L1Loss()
opt = torch.optim.Adam(recon.parameters(), lr=1e-3)
history = []
for it in range(3):
    under = torch.rand(4, 1, 8, 8)
    full = torch.rand(4, 1, 8, 8)
    out = recon(under)
    loss_l1 = l1(out, full).item()
    loss_adv = -disc(out).mean().item()
    loss = loss_l1 + 0.01 * loss_adv
    history.append(loss)
    opt.zero_grad()
    loss.backward()
    opt.step()
