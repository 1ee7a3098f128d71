import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
first = torch.optim.Adam(encoder.parameters(), lr=1e-3)
second = torch.optim.Adam(decoder.parameters(), lr=1e-3)
for step in range(16):
    x = torch.randn(32, 8)
    first.zero_grad()
    second.zero_grad()
    # What the codes lose trains both; what the decoder makes of noise trains the decoder as well.
    reconstruction = (decoder(encoder(x)) - x).square().mean()
    reconstruction.backward()
    first.step()
    prior = decoder(torch.randn(32, 4)).square().mean() * 0.1
    prior.backward()
    second.step()
print(f"{reconstruction.item():.4f} {prior.item():.4f}")
