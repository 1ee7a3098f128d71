"""The repair of one write, from its statement: source in, source out."""

from __future__ import annotations

import ast
import textwrap
from typing import Any

import pytest

from graphlab.rules.repair.reordered import copy_before_write
from graphlab.rules.repair.writes import under_no_grad, write_out_of_place
from tests.rules.build import Script

BODY = """\
import torch
import torch.nn.functional as F


def forward(h, x, parts):
{line}
    return h, parts
"""


def mended(line: str, applied: Any, by: str = "h.write_()") -> str | None:
    """The function's body with that line repaired; None where words must do."""
    script = Script(BODY.format(line=textwrap.indent(line, "    ")))
    at = script.at(line.splitlines()[-1].strip())
    help = write_out_of_place(script.trace(), at, by, "backward still needs the old h")
    if help is None:
        return None
    after = applied(help, script.source)
    ast.parse(after)
    start = after.index("parts):\n") + len("parts):\n")
    return textwrap.dedent(after[start : after.index("    return h")]).strip()


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("h += x", "h = h + x"),
        ("h *= x - 1", "h = h * (x - 1)"),
        ("h -= 2 * x", "h = h - 2 * x"),
        ("h.clamp_(0)", "h = h.clamp(0)"),
        ("h.mul_(2).add_(x)", "h = h.mul(2).add(x)"),
        ("h = h.sub_(x)", "h = h.sub(x)"),
        ("F.relu_(h)", "h = F.relu(h)"),
        ("h = F.relu(h, inplace=True)", "h = F.relu(h)"),
        ("h = torch.add(h, x, out=h)", "h = torch.add(h, x)"),
        ("parts['a'] += x", "parts['a'] = parts['a'] + x"),
        ("h += x  # residual", "h = h + x  # residual"),
    ],
)
def test_out_of_place(line: str, after: str, applied: Any) -> None:
    assert mended(line, applied) == after


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("h[0] = x", "h = h.clone()\nh[0] = x"),
        ("h[:, 1:] *= 2", "h = h.clone()\nh[:, 1:] *= 2"),
        ("h[0] = h.mean()", "new = h.mean()\nh = h.clone()\nh[0] = new"),
        ("h.zero_()", "h = h.clone()\nh.zero_()"),
        ("h[0].fill_(1)", "h = h.clone()\nh[0].fill_(1)"),
    ],
)
def test_into_a_copy_where_a_part_is_written(line: str, after: str, applied: Any) -> None:
    assert mended(line, applied, "h[…] = …") == after


@pytest.mark.parametrize(
    "line",
    [
        # Whoever holds the same tensor would no longer see the new values.
        "y = parts[0]\ny += x",
        "for part in parts:\n    part += x",
        # Nobody reads it again: it is written for those who hold it.
        "y = h\ny += x",
        # Lines are what is replaced, and here one holds two statements.
        "h += x; x = h",
    ],
)
def test_where_the_name_is_not_all_that_counts_there_is_no_edit(line: str, applied: Any) -> None:
    assert mended(line, applied) is None


LEAVES = """\
import torch

for step in range(3):
    loss.backward()
    w -= 0.1 * w.grad
    b.sub_(0.1 * b.grad)
    w.grad.zero_()
    print(step)
"""


def test_the_writes_of_one_update_go_under_one_no_grad(applied: Any) -> None:
    script = Script(LEAVES)
    help = under_no_grad(script.trace(), script.at("w -= 0.1 * w.grad"))
    assert help is not None
    assert applied(help, LEAVES) == """\
import torch

for step in range(3):
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        b.sub_(0.1 * b.grad)
        w.grad.zero_()
    print(step)
"""  # fmt: skip


def test_what_it_returns_would_have_no_graph() -> None:
    script = Script("import torch\ny = w.mul_(2)\n")
    assert under_no_grad(script.trace(), script.at("y = w.mul_(2)")) is None


def test_no_grad_is_torchs_by_that_name() -> None:
    script = Script("import torch as t\nw.mul_(2)\n")
    assert under_no_grad(script.trace(), script.at("w.mul_(2)")) is None


@pytest.mark.parametrize(
    ("made", "sent", "back", "copied"),
    [
        ("t = t.data", "t", "t / 2", "t"),
        ("t = f(x)", "t.data", "t / 2", "t"),
        # Whoever holds what was given would be left with the old one.
        ("x = 1", "t", "x", None),
    ],
)
def test_what_a_collective_would_write_is_copied(
    made: str, sent: str, back: str, copied: str | None
) -> None:
    script = Script(
        f"def mean(t, x):\n    {made}\n    dist.all_reduce({sent})\n    log(t)\n    return {back}\n"
    )
    helps = [*copy_before_write(script.trace(), script.at(f"dist.all_reduce({sent})"))]
    wanted = [f"    {copied} = {copied}.clone()\n    dist.all_reduce({sent})\n"]
    assert [each.after for each in helps] == (wanted if copied is not None else [])
