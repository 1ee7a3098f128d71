import copy

import torch
from torch import nn


def make_images(count, size):
    images = torch.randn(count, 1, size, size) * 0.1
    return images.double().float().requires_grad_()


torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
for parameter in net.parameters():
    parameter.requires_grad = False
images = make_images(6, 8)
labels = torch.arange(3).repeat(2)
optimizer = torch.optim.Adam([{"params": [images], "lr": 0.05}])
best, kept = float("inf"), None
for step in range(8):
    features = net[:2](images)
    features.retain_grad()
    loss = nn.functional.cross_entropy(net[2:](features), labels)
    optimizer.zero_grad()
    loss.backward()
    strength = features.grad.abs().mean().item()
    optimizer.step()
    if loss.item() < best:
        best, kept = loss.item(), copy.deepcopy({"net": net, "images": images.detach()})
print(best, strength, kept["images"].shape)
