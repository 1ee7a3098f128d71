import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=1e-3)
optimizer_G = torch.optim.Adam(G.parameters(), lr=1e-3)

for idx in range(4):
    img = torch.randn(32, 2) + 2
    B = 1 / (len(img) * 2)
    gene_img = G(torch.randn(32, 4))
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()

    # training D
    D_loss_ = real_logit.mean() + torch.log(Z_B)
    optimizer_D.zero_grad()
    D_loss_.backward(retain_graph=True)
    optimizer_D.step()

    # training G
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)
    optimizer_G.zero_grad()
    G_loss_.backward()
    optimizer_G.step()
