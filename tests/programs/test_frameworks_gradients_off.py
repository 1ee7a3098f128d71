"""Gradients that are asked for where a library has turned them off, as for a validation.

The library here is a stand-in for lightning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
import torch


def validate(net, batches, guard):
    with guard():
        for x in batches:
            net.validation_step(x)


def walked(call, x):
    return call(x)
"""
START = """\
import torch
import trainerlib
from torch import nn


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        slope, = torch.autograd.grad(x.sum(), x)
        return 2 * slope

    @staticmethod
    def backward(ctx, grad):
        return grad


class Potential(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(3, 1)

    def forward(self, x):
        x = x.clone().requires_grad_(True)
        energy = self.net(x).sum()
        return torch.autograd.grad(energy, x)[0]

"""
BODY = """\
    def validation_step(self, x):
        return {call}


model = Potential()
trainerlib.validate(model, [torch.ones(4, 3)], {guard})
"""
# The lines of the function and of the call that was refused.
STEP, ASKED = 27, 25


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"trainerlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


@pytest.mark.parametrize("guard", ["no_grad", "inference_mode"])
def test_the_function_that_it_calls_so_is_named(told: Any, guard: str) -> None:
    (found,) = told(BODY.format(call="self(x)", guard=f"torch.{guard}"))
    assert (found.code, found.cause.at.line, found.failed.at.line) == ("GL005", STEP, ASKED)
    assert "trainerlib runs validation_step()" in found.summary
    assert "enable_grad" in found.help[0].text
    assert ("Trainer(inference_mode=False)" in found.help[0].text) == (guard == "inference_mode")


def test_it_is_asked_for_under_enable_grad(told: Any) -> None:
    body = BODY.replace("return {call}", "with torch.enable_grad():\n            return {call}")
    assert told(body.format(call="self(x)", guard="torch.no_grad")) == []


def test_a_guard_of_the_program_is_told_of_instead(told: Any) -> None:
    body = BODY.replace("    def", "    @torch.no_grad()\n    def")
    (found,) = told(body.format(call="self(x)", guard="torch.enable_grad"))
    assert "torch.no_grad()" in found.summary and found.cause.at.line == STEP


def test_the_library_has_not_turned_off_what_torch_has(told: Any) -> None:
    call = "Double.apply(x.requires_grad_(True))"
    (found,) = told(BODY.format(call=call, guard="torch.enable_grad"))
    assert "trainerlib" not in found.summary


def test_a_block_that_is_not_known_may_have_done_it(told: Any) -> None:
    body = BODY.replace("trainerlib.validate", "with guards[0]():\n    trainerlib.validate")
    body = body.replace("\n\nmodel =", "\n\nimport contextlib\nguards = [torch.no_grad]\nmodel =")
    (found,) = told(body.format(call="self(x)", guard="contextlib.nullcontext"))
    assert "trainerlib" not in found.summary
