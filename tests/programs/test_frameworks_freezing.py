"""What a library freezes for its user, and what the user sets free without effect.

The library here is a stand-in for lightning, transformers' Trainer and peft.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch


class Base(torch.nn.Module):
    def freeze(self):
        for each in self.parameters():
            each.requires_grad = False

    def unfreeze(self):
        for each in self.parameters():
            each.requires_grad = True

    def toggle(self, optimizer):
        self.flags = {p: p.requires_grad for p in self.parameters()}
        for p in self.flags:
            p.requires_grad = False
        for p in optimizer.param_groups[0]["params"]:
            p.requires_grad = self.flags[p]

    def untoggle(self, optimizer):
        for p, flag in self.flags.items():
            p.requires_grad = flag

    def freeze_time(self):
        self.time = 0


def restored(model):
    holder = torch.nn.Sequential(model)
    for each in holder.parameters():
        each.requires_grad_(False)
    return holder


class Adapted(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = restored(model)
        self.scale = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.model(x) * self.scale

    def merged(self):
        return self.model


class Trainer:
    def __init__(self, model, batches):
        self.model, self.batches = model, batches
        self.optimizer = torch.optim.SGD(
            [*filter(lambda p: p.requires_grad, model.parameters())] or [torch.zeros(1)], lr=0.1
        )

    def train(self):
        if hasattr(self.model, "on_start"):
            self.model.on_start()
        for step, (x, y) in enumerate(self.batches):
            if hasattr(self.model, "on_step"):
                self.model.on_step(step)
            loss = torch.nn.functional.cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
"""
START = """\
import torch
from torch import nn
import stocklib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(8)]


class Net(stocklib.Base):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.body(x).relu())

"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"stocklib": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_a_librarys_freeze_in_a_hook_that_has_returned(told: Any) -> None:
    (found,) = told(
        "    def on_start(self):\n        self.freeze_time()\n        self.freeze()\n\n\n"
        "net = Net()\nstocklib.Trainer(net, batches).train()\n"
    )
    assert (found.code, found.cause.at.line) == ("GL005", 19)
    assert "self.freeze()" in found.summary


def test_which_of_two_freezes_it_was_is_not_known(told: Any) -> None:
    (found,) = told(
        "    def on_start(self):\n        self.freeze()\n        self.freeze()\n\n\n"
        "net = Net()\nstocklib.Trainer(net, batches).train()\n"
    )
    assert (found.code, found.cause) == ("GL005", None)


def test_what_a_library_made_frozen_and_trains_itself(told: Any) -> None:
    (found,) = told(
        "\ndef train(model):\n    stocklib.Trainer(model, batches).train()\n\n\n"
        "def main():\n    first = nn.Linear(4, 3)\n    train(first)\n"
        "    model = stocklib.restored(nn.Linear(4, 3))\n    train(model)\n\n\nmain()\n"
    )
    assert (found.code, found.cause.at.line) == ("GL005", 25)


MERGED = """\

def main():
    base = nn.Linear(4, 3)
    model = stocklib.Adapted(base)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for epoch in range(2):
        for x, y in batches:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        {then}


main()
"""


def test_a_model_that_was_merged_and_is_trained_on(told: Any) -> None:
    (found,) = told(MERGED.format(then="model = model.merged()"))
    assert (found.code, found.cause.at.line, found.failed.at.line) == ("GL005", 28, 26)


def test_a_model_that_is_merged_under_a_name_of_its_own(told: Any) -> None:
    assert told(MERGED.format(then="merged = model.merged()")) == []


THAW = """\
    def on_start(self):
        for each in self.body.parameters():
            each.requires_grad_(False)

    def on_step(self, step):
        if step == 2:
            {first}
        if step == 4:
            {then}


net = Net()
stocklib.Trainer(net, batches).train()
"""


def test_a_flag_that_sets_nothing_free(told: Any) -> None:
    (found,) = told(THAW.format(first="self.body.requires_grad = True", then="pass"))
    assert (found.code, found.cause.at.line) == ("GL116", 23)
    assert "self.body.requires_grad = True sets nothing free" in found.summary


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("self.body.requires_grad_(True)", "pass"),
        # Set free by another line, which is seen at work.
        ("self.body.requires_grad = True", "self.body.requires_grad_(True)"),
        # The program has a use for it.
        ("self.body.requires_grad = True", "print(self.body.requires_grad)"),
        ("self.body.requires_grad = False", "pass"),
    ],
)
def test_what_is_set_free_or_meant(told: Any, first: str, then: str) -> None:
    assert told(THAW.format(first=first, then=then)) == []


TOGGLED = """\
    def training_step(self, x):
        first, second = self.optimizers
        self.toggle(first)
        loss = self(x).square().mean()
        loss.backward()
        first.step()
        {between}
        self.toggle(second)
        other = self(x).exp().mean()
        other.backward()
        second.step()
        self.untoggle(second)


net = Net()
net.optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (net.body, net.head)]
for x, _ in batches:
    net.zero_grad()
    net.training_step(x)
"""


def test_a_toggle_without_its_counterpart(told: Any) -> None:
    (found,) = told(TOGGLED.format(between="pass"))
    assert (found.code, found.cause.at.code) == ("GL005", "self.toggle(first)")
    assert told(TOGGLED.format(between="self.untoggle(first)")) == []


def test_a_toggle_for_the_other_optimizer(told: Any) -> None:
    wrong = TOGGLED.format(between="self.untoggle(first)").replace("(second)", "(first)")
    (found,) = told(wrong.replace("other.backward()", "other.requires_grad"))
    assert (found.code, found.cause.at.line) == ("GL110", 24)
    assert (found.cause.at.code, found.failed.at.code) == ("self.toggle(first)", "second.step()")


WAITING = """\
    def training_step(self, step, x):
        self.head.requires_grad_(step > 4)
        self(x).square().mean().backward()
        for optimizer in self.optimizers:
            optimizer.step()


net = Net()
net.optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (net.body, net.head)]
for step, (x, _) in enumerate(batches):
    net.zero_grad()
    net.training_step(step, x)
"""


def test_one_that_waits_frozen_and_is_set_free(told: Any) -> None:
    assert told(WAITING) == []
