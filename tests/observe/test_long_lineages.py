"""How far a value's source is read backwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.lineage import reader, trail

# Each function is read twice by the one above it, so that the last would be read 2 ** 12 times.
_PROGRAM = (
    "import torch\nfrom torch import nn\nnet = nn.Linear(4, 4)\n"
    + "".join(
        f"def f{at}(x):\n    a = f{at + 1}(x)\n    b = f{at + 1}(a)\n    return a + b * 0.1\n"
        for at in range(12)
    )
    + "def f12(x):\n    return x.tanh()\n"
    "def compute(x):\n    y = net(x)\n    return f0(y).square().mean()\n"
    "opt = torch.optim.SGD(net.parameters(), lr=0.001)\n"
    "for i in range(3):\n"
    "    loss = compute(torch.randn(8, 4)) + 0.1 * f0(torch.ones(2)).sum()\n"
    "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n"
)


def test_a_search_ends(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[int, int] = {}
    searches: list[Any] = []
    real = reader.Lineage._value

    def counted(self: Any, *args: Any) -> Any:
        if not any(each is self.trail for each in searches):
            searches.append(self.trail)
        read[id(self.trail)] = read.get(id(self.trail), 0) + 1
        return real(self, *args)

    monkeypatch.setattr(reader.Lineage, "_value", counted)
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)
    found = [each for each in observe(path).findings if each.severity != "info"]
    assert found == []
    assert trail.LONGEST * 0.9 < max(read.values()) <= trail.LONGEST
