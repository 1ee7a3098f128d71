"""Right: one perturbation for all images is trained by hand beside the network that it attacks."""

import torch
from torch import nn

if __name__ == "__main__":
    torch.manual_seed(19)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    delta = torch.zeros(8, requires_grad=True)
    for step in range(12):
        x = torch.randn(32, 8)
        loss = nn.functional.cross_entropy(model(x + delta), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            delta += 0.02 * delta.grad.sign()
            delta.clamp_(-0.2, 0.2)
            delta.grad.zero_()
    print(f"{loss.item():.4f} {delta.abs().max().item():.2f}")
