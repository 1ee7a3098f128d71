"""Adversarial patch: a generator learns an overlay that fools a classifier."""

import torch
import torch.nn as nn
import torch.nn.functional as F

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class PatchGenerator(nn.Module):
    def __init__(self, z_dim=8, size=8):
        super().__init__()
        self.size = size
        self.fc = nn.Linear(z_dim, 3 * size * size)

    def forward(self, z):
        return torch.sigmoid(self.fc(z)).view(-1, 3, self.size, self.size)


class Classifier(nn.Module):
    def __init__(self, n_classes=5):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, n_classes)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).mean(dim=(2, 3)))


def paste(images, patches):
    size = patches.size(-1)
    pad = images.size(-1) - size
    mask = F.pad(torch.ones(1, 1, size, size), (0, pad, 0, pad))
    return images * (1 - mask) + F.pad(patches, (0, pad, 0, pad)) * mask


def normalize(batch):
    for image in batch:
        for channel, mean, std in zip(image, MEAN, STD):
            channel.sub_(mean).div_(std)
    return batch


def attack(generator, classifier, steps, target=2):
    optimizer = torch.optim.Adam(generator.parameters(), lr=1e-2)
    for step in range(steps):
        images = torch.rand(8, 3, 24, 24)
        patched = paste(images, generator(torch.randn(8, 8)))
        logits = classifier(normalize(patched))
        loss = F.cross_entropy(logits, torch.full((8,), target))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"{step}: {loss.item():.4f}")


if __name__ == "__main__":
    torch.manual_seed(44)
    victim = Classifier().requires_grad_(False).eval()
    attack(PatchGenerator(), victim, steps=5)
