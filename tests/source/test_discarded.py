"""Which statements throw away what they have computed of a tensor, read from source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.source.effects.idle.discarded import discarded


def _writes(name: str) -> bool:
    return name in ("add", "clamp", "mul")


def _found(folder: Path, *lines: str) -> list[tuple[int, str]]:
    file = folder / "program.py"
    file.write_text("\n".join(["import torch", "def f(self, net, p, x):", *lines]) + "\n")
    return [(each.at.line, each.written) for each in discarded(str(file), _writes)]


@pytest.mark.parametrize(
    ("lines", "written"),
    [
        (["    torch.add(self.total, x)"], "self.total.add_(x)"),
        (["    torch.mul(self.sums[0], x, )"], "self.sums[0].mul_(x)"),
        (["    p.grad.clamp(-1, 1)"], "p.grad.clamp_(-1, 1)"),
        (["    p.grad.data.mul(2)"], "p.grad.data.mul_(2)"),
        (["    for w in net.parameters(): w.clamp(min=0)"], "w.clamp_(min=0)"),
        (["    for w in net.parameters(): torch.clamp(w, 0, 1)"], "w.clamp_(0, 1)"),
        (["    if p.grad is not None: p.grad.mul(2)"], "p.grad.mul_(2)"),
    ],
)
def test_without_effect(tmp_path: Path, lines: list[str], written: str) -> None:
    assert _found(tmp_path, *lines) == [(3, written)]


@pytest.mark.parametrize(
    "line",
    [
        "p.grad.clamp_(-1, 1)",
        "y = torch.add(self.total, x)",
        "torch.add(self.total, x, out=self.total)",
        "torch.add(x, x)",
        "self.seen.add(x)",
        "x.clamp(0, 1)",
        "p.grad.norm()",
        "if self.debug: torch.add(self.total, x)",
        "return torch.add(self.total, x)",
        "for w in net.layers: w.add(x)",
    ],
)
def test_with_an_effect_or_perhaps_one(tmp_path: Path, line: str) -> None:
    assert _found(tmp_path, f"    {line}") == []
