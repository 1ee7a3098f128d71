"""A quantizer whose commitment loss starts at a constant that is told to require grad."""
import torch
from torch import nn


class Quantize(nn.Module):
    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(8, 4))
        self.register_buffer("zero", torch.tensor(0.0), persistent=False)

    def forward(self, x):
        at = torch.cdist(x, self.codes).argmin(1)
        q = self.codes[at]
        loss = self.zero
        if self.training:
            loss.requires_grad_()
            loss = loss + (x.detach() - q).pow(2).mean() + 0.25 * (x - q.detach()).pow(2).mean()
        return x + (q - x).detach(), loss


torch.manual_seed(0)
enc, dec, quantize = nn.Linear(6, 4), nn.Linear(4, 6), Quantize()
opt = torch.optim.Adam([*enc.parameters(), *quantize.parameters(), *dec.parameters()], lr=1e-2)
for step in range(6):
    x = torch.randn(16, 6)
    q, commit = quantize(enc(x))
    loss = (dec(q) - x).abs().mean() + 10.0 * commit
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(f"{step} {loss.item():.4f}")
