"""A run that was saved with its whole network trained is resumed with the body frozen again."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


def network():
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))


def optimizer_of(model):
    trained = [each for each in model.parameters() if each.requires_grad]
    return torch.optim.SGD(trained, lr=0.1, momentum=0.9)


def run(model, optimizer, steps):
    for _ in range(steps):
        x = torch.randn(16, 6)
        loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


torch.manual_seed(0)
model = network()
optimizer = optimizer_of(model)
run(model, optimizer, 4)
saved = copy.deepcopy({"model": model.state_dict(), "optimizer": optimizer.state_dict()})

model = network()
model.load_state_dict(saved["model"])
model[0].requires_grad_(False)
optimizer = optimizer_of(model)
optimizer.load_state_dict(saved["optimizer"])
run(model, optimizer, 4)
