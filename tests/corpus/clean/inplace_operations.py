"""A conv block and an attention block that write in place wherever it is allowed."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, planes):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.drop = nn.Dropout(0.1, inplace=True)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x, pad):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(1, 2)
        scores /= math.sqrt(q.size(-1))
        scores.masked_fill_(pad[:, None, :], float("-inf"))
        weights = F.softmax(scores, dim=-1)
        return self.proj(self.drop(weights @ v))


class Reader(nn.Module):
    """Reads a line of glyph columns, some of them padding."""

    def __init__(self, width=8, classes=3):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.block = BasicBlock(width)
        self.attention = Attention(width)
        self.head = nn.Linear(width, classes)

    def forward(self, image, pad):
        x = self.block(self.stem(image)).mean(dim=2).transpose(1, 2)
        x = x + self.attention(x, pad)
        x = x.masked_fill(pad[:, :, None], 0.0)
        return self.head(x.sum(dim=1) / (~pad).sum(dim=1, keepdim=True))


def glyphs(n, height=6, columns=8):
    y = torch.randint(0, 3, (n,))
    image = 0.3 * torch.randn(n, 1, height, columns)
    for i, label in enumerate(y.tolist()):
        image[i, 0, 2 * label : 2 * label + 2] += 1.0
    length = torch.randint(4, columns + 1, (n, 1))
    return image, torch.arange(columns) >= length, y


if __name__ == "__main__":
    torch.manual_seed(0)
    model = Reader()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for it in range(16):
        image, pad, y = glyphs(16)
        loss = F.cross_entropy(model(image, pad), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if it % 4 == 0:
            print(f"it {it} loss {loss.item():.4f}")
