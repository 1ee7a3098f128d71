"""What a library builds, wraps or keeps: its loop's loss, its optimizer, its modules.

The library here is a stand-in for transformers, stable-baselines3, peft and gpytorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch


def fit(compute_loss, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        loss = compute_loss(x, y)
        (loss / 2).backward()
        optimizer.step()


class Policy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.extractor, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 3)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=0.1)

    def forward(self, x):
        return self.head(torch.tanh(self.extractor(x)))


class Agent:
    def __init__(self):
        self.policy = Policy()

    def learn(self, batches):
        for x, y in batches:
            loss = torch.nn.functional.cross_entropy(self.policy(x), y)
            self.policy.optimizer.zero_grad()
            loss.backward()
            self.policy.optimizer.step()


class Wrapper(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self._base = model

    def forward(self, *args):
        return self._base(*args)


def classify(model, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(torch.log(model(x) + 1e-8), y)
        loss.backward()
        optimizer.step()


class Strategy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(4))
        self._memo = {}

    @property
    def prior(self):
        if "prior" not in self._memo:
            self._memo["prior"] = self.scale.exp() * 2
        return self._memo["prior"]


class Process(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.strategy = Strategy()
"""
START = """\
import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
import insidelib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]
"""
LOSS = """\
class Task:
    alpha = 0.5

    def __init__(self):
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.teacher = nn.Linear(4, 3)
        own = [*self.body.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(own, lr=0.1)

    def compute_loss(self, x, y):
        features = torch.tanh(self.body(x))
        logits = self.head(features)
        main = nn.functional.cross_entropy(logits, y)
        {extra}
        loss = main + self.alpha * term
        return loss


task = Task()
insidelib.fit(task.compute_loss, task.optimizer, batches)
"""
SPREAD = "z = features.detach().numpy()\n        term = torch.tensor(np.abs(z).mean())"


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The findings of a program that can import the library."""
    yield from told_beside({"insidelib": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_a_summand_that_lost_its_graph_in_a_loss_handed_to_a_library(told: Any) -> None:
    (found,) = told(LOSS.format(extra=SPREAD))
    assert (found.code, found.cause.at.line) == ("GL118", 22)
    assert "term" in found.summary


@pytest.mark.parametrize(
    "extra",
    [
        # A teacher's, which nothing trains.
        "with torch.no_grad():\n            target = self.teacher(x).softmax(-1)\n"
        "        term = nn.functional.cross_entropy(logits, target)",
        # A weight that is computed from the features, of a term that trains.
        "weight = features.detach().abs().mean()\n        term = weight * logits.square().mean()",
        # The value of a straight-through estimate.
        "hard = (features > 0).float()\n"
        "        term = (features + (hard - features).detach()).mean()",
        # Something that is reported, and a constant.
        "share = features.detach().numpy().mean()\n        term = features.abs().mean()",
        "term = 0.1",
        "term = x.square().mean()",
    ],
)
def test_summands_that_are_meant(told: Any, extra: str) -> None:
    assert told(LOSS.format(extra=extra)) == []


def test_a_module_put_in_place_of_one_whose_optimizer_a_library_built(told: Any) -> None:
    (found,) = told(
        "agent = insidelib.Agent()\n"
        "agent.name = 'first'\n"
        "agent.policy.extractor = nn.Sequential(nn.Linear(4, 4), nn.ReLU())\n"
        "agent.learn(batches)\n"
    )
    assert (found.code, found.cause.at.line) == ("GL104", 11)


def test_a_module_of_a_library_that_is_put_in_place_with_its_optimizer(told: Any) -> None:
    found = told(
        "agent = insidelib.Agent()\nagent.policy = insidelib.Policy()\nagent.learn(batches)\n"
    )
    assert found == []


CHECKPOINTED = """\
class Net(nn.Module):
    def __init__(self, saving):
        super().__init__()
        self.saving = saving
        self.embed, self.head = nn.Linear(4, 4), nn.Linear(4, 3)
        self.blocks = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])

    def forward(self, x):
        h = self.embed(x)
        for block in self.blocks:
            if self.saving and self.training:
                h = checkpoint(block, h, use_reentrant={reentrant})
            else:
                h = block(h)
        return self.head(h)


net = Net(saving=True)
net.embed.requires_grad_(False)
net.head.requires_grad_(False)
model = insidelib.Wrapper(net)
optimizer = torch.optim.SGD(net.blocks.parameters(), lr=0.1)
for x, y in batches:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
"""


def test_a_reentrant_checkpoint_inside_a_wrapper(told: Any) -> None:
    (found,) = told(CHECKPOINTED.format(reentrant=True))
    assert (found.code, found.cause.at.line) == ("GL005", 20)
    assert "use_reentrant=False" in found.help[0].after
    assert told(CHECKPOINTED.format(reentrant=False)) == []


@pytest.mark.parametrize("anew", [False, True])
def test_a_graph_that_a_librarys_module_keeps_to_itself(told: Any, anew: bool) -> None:
    found = told(
        "model = insidelib.Process()\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for step in range(3):\n"
        f"    {'model.strategy._memo.clear()' if anew else 'pass'}\n"
        "    optimizer.zero_grad()\n"
        "    loss = model.strategy.prior.square().mean()\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    assert [each.code for each in found] == ([] if anew else ["GL002"])
    if not anew:
        assert "model.strategy" in str(found[0].help[0].text)


def test_a_state_behind_a_librarys_wrapper_is_detached_where_it_is_computed(told: Any) -> None:
    (found,) = told(
        "class Retriever(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.encode, self.context = nn.Linear(4, 3), torch.zeros(3)\n"
        "    def forward(self, x):\n"
        "        out = self.encode(x)\n"
        "        self.context = 0.9 * self.context + 0.1 * out.mean(0)\n"
        "        return out * self.context\n"
        "model = insidelib.Wrapper(Retriever())\n"
        "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
        "for x, y in batches:\n"
        "    loss = nn.functional.cross_entropy(model(x), y)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
    )
    assert found.code == "GL002"
    assert "self.context = self.context.detach()" in found.help[0].after


@pytest.mark.parametrize("twice", [True, False])
def test_what_a_library_takes_the_logarithm_of(told: Any, twice: bool) -> None:
    found = told(
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.linear = nn.Linear(4, 3)\n"
        "    def forward(self, x):\n"
        f"        return nn.functional.{'log_' if twice else ''}softmax(self.linear(x), dim=-1)\n"
        "net = Net()\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "insidelib.classify(net, optimizer, batches)\n"
    )
    assert [each.code for each in found] == (["GL201"] if twice else [])
    if twice:
        assert "line 14 made" in " ".join(map(str, found[0].notes))
