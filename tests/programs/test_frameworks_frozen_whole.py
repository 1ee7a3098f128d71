"""What a loss was computed with is frozen as a whole, or switched off, and only a library did it.

The library here is a stand-in for peft and skorch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import contextlib

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 3)

    def forward(self, x):
        return Output(self.body(x))


class Output:
    def __init__(self, logits):
        self.logits = logits


class Wrapper(nn.Module):
    def __init__(self, model, trains):
        super().__init__()
        self.base_model, self.on = model.requires_grad_(False), True
        self.shift = nn.Parameter(torch.zeros(4), requires_grad=trains)

    def forward(self, x):
        return self.base_model(x + self.shift if self.on else x)

    @contextlib.contextmanager
    def disable(self):
        self.on = False
        yield
        self.on = True


def wrapped(model, trains=True):
    return Wrapper(model, trains)


def prepared(model):
    for each in model.parameters():
        each.requires_grad = False
    return model


class Freezer:
    def __call__(self, model):
        model.requires_grad_(False)


class Learner:
    def __init__(self, model, batches, callbacks):
        self.model, self.batches, self.callbacks = model, batches, callbacks

    def fit(self):
        for each in self.callbacks:
            each(self.model)
        for x, y in self.batches:
            nn.functional.cross_entropy(self.model(x).logits, y).backward()
"""
START = """\
import torch
from torch import nn
import wraplib

torch.manual_seed(0)
batches = [(torch.randn(8, 4), torch.randint(0, 3, (8,))) for _ in range(4)]
base = wraplib.Net()
"""
LOOP = """\
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in batches:
    out = {call}
    loss = nn.functional.cross_entropy(out.logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"wraplib": LIBRARY}, START, observe, tmp_path, monkeypatch)


def test_a_wrapper_that_freezes_all_it_is_given_and_all_it_adds(told: Any) -> None:
    body = "model = wraplib.wrapped(base, trains=False)\n" + LOOP.format(call="model(x)")
    (found,) = told(body)
    assert (found.code, found.cause.at.line) == ("GL005", 8)
    assert "wrapped()" in found.summary


def test_a_call_past_what_a_wrapper_trains(told: Any) -> None:
    (found,) = told("model = wraplib.wrapped(base)\n" + LOOP.format(call="model.base_model(x)"))
    assert (found.code, found.cause.at.line) == ("GL005", 8)


def test_a_call_in_a_block_that_switches_off_what_trains(told: Any) -> None:
    body = LOOP.format(call="model(x)").replace("    out = ", "    with {}:\n        out = ")
    start = "import contextlib\nmodel = wraplib.wrapped(base)\n"
    (found,) = told(start + body.format("model.disable()"))
    assert (found.code, found.cause.at.line) == ("GL005", 12)
    assert "model.disable()" in found.summary
    assert told(start + body.format("contextlib.nullcontext()")) == []


@pytest.mark.parametrize("callbacks", ["[freezer]", "[wraplib.Freezer()]"])
def test_what_says_that_it_freezes_is_named(told: Any, callbacks: str) -> None:
    (found,) = told(
        ("freezer = wraplib.Freezer()\n" if callbacks == "[freezer]" else "\n")
        + f"learner = wraplib.Learner(\n    base, batches, {callbacks}\n)\nlearner.fit()\n"
    )
    line = 8 if callbacks == "[freezer]" else 10
    assert (found.code, found.cause.at.line) == ("GL005", line)
    assert "Freezer()" in found.summary


def test_of_two_calls_the_one_whose_body_freezes_is_named(told: Any) -> None:
    body = "model = wraplib.wrapped(base)\nmodel = wraplib.prepared(model)\n"
    (found,) = told(body + LOOP.format(call="model(x)"))
    assert (found.code, found.cause.at.line) == ("GL005", 9)
    assert "prepared()" in found.summary


FREEZE = "for each in model.parameters():\n    each.requires_grad = False\n"


def test_a_freezing_of_what_the_model_was_made_from_is_not_named(told: Any) -> None:
    made = "model = wraplib.wrapped(model)\n"
    body = f"model = base\n{FREEZE}{made}model = wraplib.prepared(model)\n"
    (found,) = told(body + LOOP.format(call="model(x)"))
    assert (found.code, found.cause.at.line) == ("GL005", 12)
    assert "prepared()" in found.summary
    # Here nothing was made after it.
    (found,) = told(f"model = base\n{made}{FREEZE}" + LOOP.format(call="model(x)"))
    assert (found.code, found.cause.at.line) == ("GL005", 11)
