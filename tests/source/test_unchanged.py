"""Which statements leave a variable as it is, read from source alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.source.effects.idle.unchanged import unchanged


def _found(folder: Path, *lines: str) -> list[tuple[int, str]]:
    file = folder / "program.py"
    file.write_text("\n".join(["def f(net, x):", *(f"    {line}" for line in lines)]) + "\n")
    return [(each.at.line, each.written) for each in unchanged(str(file))]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["y = net(x)", "y.detach()", "return y + 1"], (3, "y = y.detach()")),
        (["y = net(x)", "y.clamp(0, 1)", "return y + 1"], (3, "y = y.clamp(0, 1)")),
        (["a, y = net(x)", "for _ in x:", "    y.detach()", "    a += y"], (4, "y = y.detach()")),
        (["y = net(x)", "y / 4", "y.backward()"], (3, "y = y / 4")),
        (["y = net(x)", "y.squeeze(1)", "return y"], (3, "y = y.squeeze(1)")),
    ],
)
def test_unchanged(tmp_path: Path, lines: list[str], found: tuple[int, str]) -> None:
    assert _found(tmp_path, *lines) == [found]


@pytest.mark.parametrize(
    "lines",
    [
        ["y = net(x)", "y = y.detach()", "return y"],
        ["y = net(x)", "y.detach()"],
        ["y = net(x)", "y.detach_()", "return y"],
        ["x.detach()", "return x"],
        ["y = net(x)", "if x: y.detach()", "return y"],
        ["y = net(x)", "y.backward()", "return y"],
        ["net.h.detach()", "return net.h"],
        ["y = net(x)", "for _ in x:", "    y * 4", "    y + x", "return y"],
        ["y = net(x)", "y / 4"],
        ["y = net(x)", "y @ x", "return y"],
    ],
)
def test_changed_or_not_used(tmp_path: Path, lines: list[str]) -> None:
    assert _found(tmp_path, *lines) == []


def test_a_notebook_shows_a_value(tmp_path: Path) -> None:
    file = tmp_path / "notebook.py"
    file.write_text("y = net(x)\ny / 4\ny.backward()\n")
    assert unchanged(str(file)) == ()
