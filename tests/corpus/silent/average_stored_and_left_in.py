import torch
import torch.nn.functional as F
from torch import nn


class ExponentialMovingAverage:
    def __init__(self, parameters, decay):
        self.decay = decay
        self.shadow_params = [p.detach().clone() for p in parameters]
        self.collected_params = []

    @torch.no_grad()
    def update(self, parameters):
        for s, p in zip(self.shadow_params, parameters):
            s.sub_((1 - self.decay) * (s - p))

    def store(self, parameters):
        self.collected_params = [p.clone() for p in parameters]

    def copy_to(self, parameters):
        for s, p in zip(self.shadow_params, parameters):
            p.data.copy_(s.data)

    def restore(self, parameters):
        for c, p in zip(self.collected_params, parameters):
            p.data.copy_(c.data)


torch.manual_seed(0)
denoiser = nn.Sequential(nn.Linear(9, 32), nn.SiLU(), nn.Linear(32, 8))
ema = ExponentialMovingAverage(denoiser.parameters(), decay=0.99)
optimizer = torch.optim.AdamW(denoiser.parameters(), lr=1e-3)
data = torch.randn(64, 8)

for epoch in range(4):
    for clean in data.split(16):
        t = torch.rand(len(clean), 1)
        noise = torch.randn_like(clean)
        loss = F.mse_loss(denoiser(torch.cat([clean + t * noise, t], 1)), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ema.update(denoiser.parameters())
    ema.store(denoiser.parameters())
    ema.copy_to(denoiser.parameters())
    with torch.no_grad():
        sample = denoiser(torch.cat([data[:4], torch.ones(4, 1)], 1))
    print(f"epoch {epoch}: loss {loss.item():.4f}, sample {sample.abs().mean().item():.4f}")
