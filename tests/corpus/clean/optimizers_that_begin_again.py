"""Optimizers made again and again for one model, each time on purpose."""

import copy

import torch
from torch import nn
from torch.optim import SGD, Adam

torch.manual_seed(0)


def batches(count=2):
    for _ in range(count):
        x = torch.randn(16, 4)
        yield x, x.sum(1, keepdim=True)


def fit(model, optimizer, count=2):
    for x, y in batches(count):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


model = nn.Linear(4, 1)
# A model that goes on learning, task by task.
for task in range(3):
    print("task", task, fit(model, Adam(model.parameters(), lr=0.01)))
# Nothing is kept between the steps: nothing is lost.
for epoch in range(3):
    print("epoch", epoch, fit(model, SGD(model.parameters(), lr=0.01)))
# Each epoch begins at the same weights, to compare with.
start = copy.deepcopy(model.state_dict())
for epoch in range(3):
    model.load_state_dict(start)
    print("again", epoch, fit(model, Adam(model.parameters(), lr=0.01)))
