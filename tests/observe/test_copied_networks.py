"""A copy that is trained in place of a network is named where it is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPT = """\
import contextlib
import copy

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(1, 1)
frozen = nn.Linear(1, 1)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)


@contextlib.contextmanager
def innerloop_ctx(module, inner, copy_initial_weights=True, track_higher_grads=True):
    inside = copy.deepcopy(module)
    yield (inside if copy_initial_weights else module), inner


def adapt(learner):
    x = torch.randn(8, 1)
    return (learner(x) - 2 * x).square().mean()


for step in range(15):
    optimizer.zero_grad()
    {made}
        adapt(learner).backward()
        {more}
    optimizer.step()
"""


def told(observe: Any, tmp_path: Path, made: str, more: str = "pass") -> list[Any]:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(made=made, more=more), encoding="utf-8")
    return [each for each in observe(path).told if each.severity != "info"]


@pytest.mark.parametrize(
    "made",
    [
        "learner = copy.deepcopy(model)\n    if True:",
        "with innerloop_ctx(model, None) as (learner, _):",
        "with innerloop_ctx(model, None, track_higher_grads=False) as (learner, _):",
    ],
)
def test_the_copy_is_named(observe: Any, tmp_path: Path, made: str) -> None:
    (found,) = told(observe, tmp_path, made)
    line = SCRIPT.splitlines().index("    {made}") + 1
    assert (found.code, found.cause.at.line) == ("GL110", line)
    assert "with a copy" in str(found.help[0].text)


@pytest.mark.parametrize(
    ("made", "more"),
    [
        ("with innerloop_ctx(model, None, copy_initial_weights=False) as (learner, _):", "pass"),
        (
            "learner = copy.deepcopy(model)\n    if True:",
            "model.weight.grad, model.bias.grad = learner.weight.grad, learner.bias.grad",
        ),
        ("learner, other = model, copy.deepcopy(frozen)\n    if True:", "adapt(other)"),
    ],
)
def test_what_leads_back_is_left_alone(observe: Any, tmp_path: Path, made: str, more: str) -> None:
    assert told(observe, tmp_path, made, more) == []
