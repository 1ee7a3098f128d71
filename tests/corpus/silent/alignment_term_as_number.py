"""Domain adaptation: features of two domains are to be alike."""

import torch
import torch.nn.functional as F
from torch import nn

WEIGHT = 0.5


def mmd(a, b):
    return (a.mean(0) - b.mean(0)).square().sum()


class Net(nn.Module):
    def __init__(self, n_in=6, width=16, classes=3):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(n_in, width), nn.Tanh())
        self.head = nn.Linear(width, classes)


def step(net, optimizer, source, labels, target, log):
    fs, ft = net.features(source), net.features(target)
    cls = F.cross_entropy(net.head(fs), labels)
    gap = mmd(fs, ft).item()
    loss = cls + WEIGHT * gap
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.append((cls.item(), gap))


def main():
    torch.manual_seed(0)
    net, log = Net(), []
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(20):
        source, target = torch.randn(32, 6), torch.randn(32, 6) + 1.5
        step(net, optimizer, source, source[:, :3].argmax(1), target, log)
    print(f"first {log[0][0]:.3f} {log[0][1]:.3f} last {log[-1][0]:.3f} {log[-1][1]:.3f}")


main()
