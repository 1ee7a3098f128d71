"""Schedules that look as if they were stepped too early, and are not."""

import warnings

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LambdaLR, StepLR

# One of them is told the epoch, and one begins before the optimizer: PyTorch warns of both.
warnings.simplefilter("ignore")


def built(make):
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    return net, optimizer, make(optimizer)


def step(net, optimizer):
    inputs = torch.randn(8, 4)
    loss = (net(inputs) - inputs.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def after_each_epoch():
    net, optimizer, scheduler = built(lambda each: StepLR(each, 2))
    for epoch in range(3):
        if epoch > 0:
            scheduler.step()
        for _ in range(3):
            loss = step(net, optimizer)
    return loss


def told_the_epoch():
    net, optimizer, scheduler = built(lambda each: CosineAnnealingWarmRestarts(each, 4))
    for epoch in range(4):
        for at in range(2):
            scheduler.step(epoch + at / 2)
            loss = step(net, optimizer)
    return loss


def warmed_up_from_nothing():
    # The first rate is 0, which would waste a batch.
    net, optimizer, scheduler = built(lambda each: LambdaLR(each, lambda at: min(1.0, at / 4)))
    for _ in range(6):
        scheduler.step()
        loss = step(net, optimizer)
    return loss


def gone_on(done=3):
    net, optimizer, scheduler = built(lambda each: StepLR(each, 2))
    for _ in range(done):
        scheduler.step()
    for _ in range(4):
        loss = step(net, optimizer)
        scheduler.step()
    return loss


def first_step_skipped():
    # As a GradScaler does, when the first gradients are not finite.
    net, optimizer, scheduler = built(lambda each: StepLR(each, 2))
    for at in range(5):
        if at > 0:
            loss = step(net, optimizer)
        scheduler.step()
    return loss


torch.manual_seed(0)
print(after_each_epoch(), told_the_epoch(), warmed_up_from_nothing(), gone_on(), first_step_skipped())
