"""Averages of two networks that look as if they were written into the wrong one, and are not."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def network():
    return nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3))


def train(net, other, after, asked=True, steps=10):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(steps):
        x = torch.randn(16, 5)
        loss = F.cross_entropy(net(x), x[:, :3].argmax(1))
        if asked:
            with torch.no_grad():
                wanted = other(x).softmax(1)
            loss = loss + F.mse_loss(net(x).softmax(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            after(net, other, step)
    print(loss.item())


def teacher_first(net, other, step):
    for t, s in zip(other.parameters(), net.parameters(), strict=True):
        t.data.mul_(0.9).add_(s.data, alpha=0.1)


def student_first(net, other, step, tau=0.1):
    for param, target in zip(net.parameters(), other.parameters(), strict=True):
        target.data.copy_(tau * param.data + (1 - tau) * target.data)


def lookahead(net, other, step):
    # The slow weights go a part of the way, and the fast ones begin there again.
    if step % 3 == 2:
        for fast, slow in zip(net.parameters(), other.parameters(), strict=True):
            slow.lerp_(fast, 0.5)
            fast.copy_(slow)


def teacher_copied(net, other, step):
    for param, average in zip(net.parameters(), other.parameters(), strict=True):
        average.copy_(0.9 * average + 0.1 * param)


def pulled_to_the_start(net, other, step):
    # A penalty on what moves away from the start, which is never called.
    for param, start in zip(net.parameters(), other.parameters(), strict=True):
        param.lerp_(start, 0.01)


def each_to_the_other(net, other, step):
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        a.lerp_(b, 0.1)
    for a, b in zip(net.parameters(), other.parameters(), strict=True):
        b.lerp_(a, 0.1)


def frozen(net):
    return copy.deepcopy(net).requires_grad_(False)


for update in (teacher_first, student_first, teacher_copied, lookahead, each_to_the_other):
    net = network()
    train(net, frozen(net), update)
net = network()
train(net, frozen(net), pulled_to_the_start, asked=False)
net = network()
train(net, network().requires_grad_(False), lambda net, other, step: None)
