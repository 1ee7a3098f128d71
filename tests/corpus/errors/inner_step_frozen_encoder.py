"""An inner gradient step on a model with a frozen encoder."""

import torch
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.encoder(x))


def freeze_encoder(model):
    for name, parameter in model.named_parameters():
        if name.startswith("encoder."):
            parameter.requires_grad = False


def inner_step(model, x, y, rate=0.1):
    loss = F.cross_entropy(model(x), y)
    grads = torch.autograd.grad(loss, tuple(model.parameters()))
    with torch.no_grad():
        for parameter, grad in zip(model.parameters(), grads):
            parameter -= rate * grad
    return loss.item()


torch.manual_seed(0)
model = Model()
freeze_encoder(model)
for step in range(3):
    print(inner_step(model, torch.randn(6, 6), torch.randint(3, (6,))))
