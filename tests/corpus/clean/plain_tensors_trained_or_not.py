"""Plain tensors that an optimizer holds: one that is trained, one in turns, one as a flag says."""

import torch
from torch import nn

torch.manual_seed(0)
# a plain tensor that requires grad in turns, one that is frozen by a flag, one that is trained
for learn in (True, False):
    net = nn.Linear(4, 2)
    offset = torch.zeros(2, requires_grad=learn)
    scale = torch.ones(2).requires_grad_()
    turns = torch.zeros(2)
    opt = torch.optim.Adam([*net.parameters(), offset, scale, turns], lr=0.1)
    for i in range(12):
        turns.requires_grad_(i % 2 == 1)
        x = torch.randn(8, 4)
        loss = ((net(x) * scale + offset + turns) - x[:, :2]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
print(loss.item())
