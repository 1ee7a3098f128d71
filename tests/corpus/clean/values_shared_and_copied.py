"""Weights that begin with another layer's values, or share them, and are right to do so."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self, words=11, width=6):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.inner = nn.Linear(width, width)
        self.out = nn.Linear(width, words, bias=False)

    def forward(self, tokens):
        return self.out(torch.tanh(self.inner(self.embed(tokens))))


def tied(model):
    model.out.weight = model.embed.weight


def same_start(model):
    model.out.weight.data = model.embed.weight.data.clone()


def copied(model):
    model.out.weight.data.copy_(model.embed.weight.data)


def same_elements(model):
    # Plain SGD subtracts both gradients from them, as it would from one parameter.
    model.out.weight.data = model.embed.weight.data


def frozen_twin(model):
    twin = nn.Linear(6, 11, bias=False)
    twin.weight.data = model.out.weight.data
    model.twin = [twin.requires_grad_(False)]


def train(prepare, kind):
    model = Tagger()
    prepare(model)
    before = copy.deepcopy(model.embed.weight)
    optimizer = kind(model.parameters(), lr=0.05)
    for step in range(8):
        tokens = torch.randint(0, 11, (4, 6))
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(1, 1).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(prepare.__name__, f"{loss.item():.4f}", bool((before != model.embed.weight).any()))


for prepare in (tied, same_start, copied, frozen_twin):
    train(prepare, torch.optim.Adam)
train(same_elements, torch.optim.SGD)
