"""Binary segmentation of squares with a Dice loss."""

import torch
import torch.nn as nn


class MiniUNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.mid = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 2, 1)

    def forward(self, x):
        skip = self.down(x)
        x = self.up(self.mid(skip))
        return self.out(torch.cat([skip, x], dim=1))


class DiceLoss(nn.Module):
    def __init__(self, smooth=1.0):
        super().__init__()
        self.smooth = smooth

    def forward(self, logits, target):
        probs = torch.softmax(logits, dim=1)
        pred = probs.argmax(dim=1).float()
        target = target.float()
        overlap = (pred * target).sum(dim=(1, 2))
        total = pred.sum(dim=(1, 2)) + target.sum(dim=(1, 2))
        dice = (2 * overlap + self.smooth) / (total + self.smooth)
        return 1 - dice.mean()


def squares(n, size=16):
    masks = torch.zeros(n, size, size, dtype=torch.long)
    for mask in masks:
        top, left = torch.randint(0, size - 6, (2,)).tolist()
        mask[top : top + 6, left : left + 6] = 1
    images = masks.float().unsqueeze(1) + 0.3 * torch.randn(n, 1, size, size)
    return images, masks


def train(model, criterion, optimizer, epochs, batch_size):
    for epoch in range(1, epochs + 1):
        images, masks = squares(batch_size)
        logits = model(images)
        loss = criterion(logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"Epoch {epoch}/{epochs} dice loss {loss.item():.4f}")


if __name__ == "__main__":
    torch.manual_seed(71)
    unet = MiniUNet()
    train(unet, DiceLoss(), torch.optim.Adam(unet.parameters(), lr=1e-3), epochs=4, batch_size=8)
