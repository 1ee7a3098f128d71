import torch
from torch import nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer_D = torch.optim.Adam(D.parameters(), lr=2e-2)
optimizer_G = torch.optim.Adam(G.parameters(), lr=2e-2)

for idx in range(20):
    img = torch.randn(32, 2) + 2
    B = 1 / (len(img) * 2)
    gene_img = G(torch.randn(32, 4))
    real_logit = D(img)
    gene_logit = D(gene_img)
    Z_B = torch.exp(-real_logit).sum() + torch.exp(-gene_logit).sum()

    D_loss_ = real_logit.mean() + torch.log(Z_B)
    G_loss_ = real_logit.sum() * B + gene_logit.sum() * B + torch.log(Z_B)

    optimizer_D.zero_grad()
    optimizer_G.zero_grad()
    D_loss_.backward(retain_graph=True, inputs=list(D.parameters()))
    G_loss_.backward(inputs=list(G.parameters()))
    optimizer_D.step()
    optimizer_G.step()
