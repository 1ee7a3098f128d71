"""Lines of the program that led past a wrapper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.sightings.ranks.places import called_from

NET = """\
class Net:
    def forward(self, x):
        return self.head(x)

    def compute_loss(self, x):
        return self.forward(x).sum()

    def report(self, x):
        return x


def train(net, x):
    {call}
"""


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("net.forward(x)", 13),
        ("net.compute_loss(x)", 13),
        ("net.report(x)", 2),
        ("net.compute_loss(x) + net.compute_loss(x)", 2),
    ],
)
def test_a_method_that_is_called_past_its_wrapper(call: str, line: int, tmp_path: Path) -> None:
    source = NET.format(call=call)
    path = tmp_path / "net.py"
    path.write_text(source)
    scope: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), scope)
    found = called_from((scope["Net"].forward.__code__, 0), scope["Net"]())
    # Else it is where the spot is: at the ``def``, of its first instruction.
    assert found is not None and found.line == line
