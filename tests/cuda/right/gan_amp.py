import torch
from torch import nn
torch.manual_seed(0)
G = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 16)).cuda()
D = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)).cuda()
opt_g, opt_d = torch.optim.Adam(G.parameters(), 2e-4), torch.optim.Adam(D.parameters(), 2e-4)
scaler_g, scaler_d = torch.amp.GradScaler("cuda"), torch.amp.GradScaler("cuda")
bce = nn.BCEWithLogitsLoss()
for step in range(10):
    real, z = torch.randn(32, 16, device="cuda"), torch.randn(32, 8, device="cuda")
    with torch.autocast("cuda"):
        fake = G(z)
        d_loss = bce(D(real), torch.ones(32, 1, device="cuda")) + bce(D(fake.detach()), torch.zeros(32, 1, device="cuda"))
    opt_d.zero_grad()
    scaler_d.scale(d_loss).backward()
    scaler_d.step(opt_d)
    scaler_d.update()
    with torch.autocast("cuda"):
        g_loss = bce(D(fake), torch.ones(32, 1, device="cuda"))
    opt_g.zero_grad()
    scaler_g.scale(g_loss).backward()
    scaler_g.step(opt_g)
    scaler_g.update()
print("done")
