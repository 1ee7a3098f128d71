"""Two attacks in the usual forms: one clears the gradient of its noise, one makes a new leaf."""

import torch
from torch import nn


def clears(model, x, y, steps=8):
    noise = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        nn.functional.cross_entropy(model(x + noise), y).backward()
        noise.data = (noise.data + 0.05 * noise.grad.sign()).clamp(-0.3, 0.3)
        noise.grad.zero_()
    return (x + noise).detach()


def new_leaf(model, x, y, steps=8):
    adversarial = x.clone()
    for _ in range(steps):
        adversarial = adversarial.detach().requires_grad_(True)
        nn.functional.cross_entropy(model(adversarial), y).backward()
        adversarial = adversarial + 0.05 * adversarial.grad.sign()
    return adversarial.detach()


torch.manual_seed(5)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
for batch in range(3):
    x, y = torch.randn(8, 6), torch.randint(0, 3, (8,))
    a, b = clears(model, x, y), new_leaf(model, x, y)
    print((model(a).argmax(1) != y).sum().item(), (model(b).argmax(1) != y).sum().item())
