"""Adversarial autoencoder: the encoder learns from the reconstruction and from the judge."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
encoder, decoder = nn.Linear(8, 2), nn.Linear(2, 8)
judge = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
opt_rec = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
opt_judge = torch.optim.Adam(judge.parameters(), lr=1e-3)
opt_fool = torch.optim.Adam(encoder.parameters(), lr=5e-4)
for step in range(16):
    x = torch.randn(16, 8)
    rec_loss = F.mse_loss(decoder(encoder(x)), x)
    opt_rec.zero_grad()
    rec_loss.backward()
    opt_rec.step()
    with torch.no_grad():
        code = encoder(x)
    judge_loss = F.softplus(-judge(torch.randn(16, 2))).mean() + F.softplus(judge(code)).mean()
    opt_judge.zero_grad()
    judge_loss.backward()
    opt_judge.step()
    fool_loss = F.softplus(-judge(encoder(x))).mean()
    opt_fool.zero_grad()
    fool_loss.backward()
    opt_fool.step()
print(f"{rec_loss.item():.3f} {judge_loss.item():.3f} {fool_loss.item():.3f}")
