"""Which assignments to the variable of a loop over parameters nothing reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.source.effects.idle.rebound import rebound


def _found(folder: Path, *lines: str) -> list[tuple[int, str]]:
    file = folder / "program.py"
    head = ["import torch", "def f(self, net, grads, lr, keep, out):"]
    file.write_text("\n".join([*head, *(f"    {each}" for each in lines)]) + "\n")
    return [(each.at.line, each.written) for each in rebound(str(file))]


@pytest.mark.parametrize(
    ("lines", "written"),
    [
        (["for p, g in zip(net.parameters(), grads):", "    p = p - lr * g"], "p -= lr * g"),
        (["for p in net.parameters():", "    p = p.data - lr * p.grad"], "p -= lr * p.grad"),
        (
            ["for n, p in net.named_parameters():", "    p = p.clamp(-1, 1)"],
            "p.copy_(p.clamp(-1, 1))",
        ),
        (["for p in net.parameters():", "    p = torch.clamp(p, 0)"], "p.copy_(torch.clamp(p, 0))"),
        (["for p, q in zip(net.parameters(), keep.parameters()):", "    p = q"], "p.copy_(q)"),
        (
            ["for i, (n, p) in enumerate(net.named_parameters()):", "    p = p * 0.9"],
            "p.copy_(p * 0.9)",
        ),
        (
            ["for p in net.parameters():", "    with torch.no_grad():", "        p = p + lr"],
            "p += lr",
        ),
        (
            ["for p in net.parameters():", "    p = p + lr", "for p in keep:", "    p.mul_(2)"],
            "p += lr",
        ),
    ],
)
def test_thrown_away(tmp_path: Path, lines: list[str], written: str) -> None:
    assert [text for _, text in _found(tmp_path, *lines)] == [written]


@pytest.mark.parametrize(
    "lines",
    [
        # Read further down in the same turn.
        ["for n, p in net.named_parameters():", "    p = p - lr * grads[n]", "    out[n] = p"],
        ["for p in net.parameters():", "    p = p - lr", "    out.append(lambda: p)"],
        # Read after the loop, or by an earlier line of a loop around it.
        ["for p in net.parameters():", "    p = p - lr", "print(p)"],
        ["p = 0", "for k in keep:", " print(p)", " for p in net.parameters():", "  p = p - lr"],
        # In place, moved or let go, or of what is no parameter.
        ["for p in net.parameters():", "    p -= lr"],
        ["for p in net.parameters():", "    p = p.sub_(lr)"],
        ["for p in net.parameters():", "    p = p.to('cpu')"],
        ["for p in net.parameters():", "    p = None"],
        ["for p in net.parameters():", "    p = keep(p)"],
        ["for p in net.parameters():", "    p = p - keep(p)"],
        ["for p, g in zip(net.parameters(), grads):", "    g = g * 0.5"],
        ["for p in grads:", "    p = p - lr"],
        # Under a condition that may not hold.
        ["for p in net.parameters():", "    if keep:", "        p = p - lr"],
    ],
)
def test_read_or_meant(tmp_path: Path, lines: list[str]) -> None:
    assert _found(tmp_path, *lines) == []


def test_a_variable_of_the_module_that_a_function_reads(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("def f():\n    return p\nfor p in net.parameters():\n    p = p - 1\n")
    assert rebound(str(file)) == ()
