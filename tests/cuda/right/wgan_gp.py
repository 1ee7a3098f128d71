import torch
from torch import nn
torch.manual_seed(0)
D = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 49, 1)).cuda()
opt = torch.optim.Adam(D.parameters(), 1e-4, betas=(0.0, 0.9))
for step in range(6):
    real, fake = torch.randn(8, 1, 14, 14, device="cuda"), torch.randn(8, 1, 14, 14, device="cuda")
    eps = torch.rand(8, 1, 1, 1, device="cuda")
    mixed = (eps * real + (1 - eps) * fake).requires_grad_()
    grad, = torch.autograd.grad(D(mixed).sum(), mixed, create_graph=True)
    penalty = ((grad.flatten(1).norm(2, 1) - 1) ** 2).mean()
    loss = D(fake).mean() - D(real).mean() + 10 * penalty
    opt.zero_grad()
    loss.backward()
    opt.step()
print("done")
