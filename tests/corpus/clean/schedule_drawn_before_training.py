"""Draws the learning rates of two schedules: steps of a dummy parameter, and nothing is trained."""

import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR


def rates(make, epochs):
    dummy = torch.zeros(1, requires_grad=True)
    optimizer = SGD([dummy], lr=0.1)
    scheduler = make(optimizer)
    taken = []
    for _ in range(epochs):
        taken.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return taken


def warm_cosine(optimizer):
    warm = LinearLR(optimizer, start_factor=0.1, total_iters=5)
    rest = CosineAnnealingLR(optimizer, T_max=15)
    return SequentialLR(optimizer, [warm, rest], milestones=[5])


def main():
    for name, make in (("steps", lambda o: StepLR(o, 6, 0.5)), ("cosine", warm_cosine)):
        found = rates(make, 20)
        bars = ["#" * round(400 * rate) for rate in found[::4]]
        print(name, *bars, sep="\n")


main()
