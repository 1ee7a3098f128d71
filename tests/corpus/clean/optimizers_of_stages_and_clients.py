"""Optimizers made anew for the stages of a recipe, and for clients."""

import copy

import torch
from torch import nn
from torch.optim import SGD, Adam

torch.manual_seed(0)


def batches(count=4):
    for _ in range(count):
        x = torch.randn(16, 4)
        yield x, x.sum(1, keepdim=True)


def fit(model, optimizer, count=4):
    for x, y in batches(count):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


model = nn.Linear(4, 1)
# A rate of its own for each epoch.
for epoch in range(4):
    print("rate", epoch, fit(model, Adam(model.parameters(), lr=0.01 * 0.5**epoch)))
# Another part of the model each time.
deep = nn.Sequential(*(nn.Linear(4, 4) for _ in range(4)), nn.Linear(4, 1))
for epoch in range(5):
    print("thawed", epoch, fit(deep, Adam(deep[4 - epoch :].parameters(), lr=0.01)))
# Two stages of one recipe.
for epoch in range(2):
    print("stage", epoch, fit(model, Adam(model.parameters(), lr=0.01)))
# Clients, each of which trains the model that it is given.
for epoch in range(3):
    parts = []
    for client in range(3):
        local = copy.deepcopy(model)
        fit(local, SGD(local.parameters(), lr=0.01, momentum=0.9), 2)
        parts.append(local.state_dict())
    model.load_state_dict({k: torch.stack([p[k] for p in parts]).mean(0) for k in parts[0]})
print("averaged", fit(model, Adam(model.parameters(), lr=0.01)))
