"""What is seen of frozen parameters that an optimizer goes on moving."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.module_sightings import FrozenMoved

SCRIPT = """\
import torch
from torch import nn

torch.manual_seed(0)
body, head = nn.Linear(3, 4), nn.Linear(4, 1)
optimizer = torch.optim.{optimizer}
for step in range(12):
    if {freezes}:
        body.requires_grad_(False)
    {clear}
    head(torch.tanh(body(torch.randn(8, 3)))).square().mean().backward()
    {after}
    optimizer.step()
"""
BOTH = "[*body.parameters(), *head.parameters()]"
MOMENTUM = f"SGD({BOTH}, lr=0.1, momentum=0.9)"
ZEROS = "optimizer.zero_grad(set_to_none=False)"


def seen(
    tmp_path: Path,
    optimizer: str = MOMENTUM,
    freezes: str = "step == 5",
    clear: str = ZEROS,
    after: str = "pass",
) -> list[FrozenMoved]:
    path = tmp_path / "script.py"
    text = SCRIPT.format(optimizer=optimizer, freezes=freezes, clear=clear, after=after)
    path.write_text(text, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, FrozenMoved)]


@pytest.mark.parametrize(
    ("optimizer", "clear", "zeros"),
    [
        (MOMENTUM, ZEROS, True),
        (f"AdamW({BOTH}, lr=0.01)", ZEROS, True),
        (f"Adam({BOTH}, lr=0.01, fused=True)", ZEROS, True),
        (f"SGD({BOTH}, lr=0.1)", "head.zero_grad()", False),
    ],
)
def test_moved_after_the_freeze(tmp_path: Path, optimizer: str, clear: str, zeros: bool) -> None:
    (found,) = seen(tmp_path, optimizer, clear=clear)
    assert (len(found.tensors), found.zeros) == (2, zeros)
    assert found.by == "body.requires_grad_(False)"
    assert found.at is not None and found.at.line == 9
    assert found.step_at is not None and found.step_at.line == 13


@pytest.mark.parametrize(
    "changed",
    [
        {"clear": "optimizer.zero_grad()"},
        # Zeros move nothing where there is neither momentum nor decay.
        {"optimizer": f"SGD({BOTH}, lr=0.1)"},
        # The gradient is new: it is frozen after the backward, until the next turn.
        {
            "freezes": "False",
            "clear": f"body.requires_grad_(True); {ZEROS}",
            "after": "body.requires_grad_(False)",
        },
        # Gradients by hand, for what is never differentiated.
        {
            "freezes": "step == 0",
            "after": "for each in body.parameters(): each.grad = torch.randn_like(each)",
        },
        {"optimizer": "SGD(head.parameters(), lr=0.1, momentum=0.9)"},
    ],
)
def test_not_where_it_stays_or_has_a_new_gradient(tmp_path: Path, changed: dict[str, str]) -> None:
    assert seen(tmp_path, **changed) == []
