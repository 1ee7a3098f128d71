"""GL129 keeps track of no more tensors than it has to, and forgets those that are gone."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.observe.sightings.usage import hooks
from graphlab.trace.sightings import HookAgain

SCRIPT = """\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(12):
    x = torch.randn(8, 4, requires_grad=True)
    x.register_hook(lambda grad: grad.clamp(-1, 1))
    net.bias.register_hook(lambda grad: 0.5 * grad)
    loss = net(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_inputs_that_are_gone_make_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hooks, "HOLDERS", 4)
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    found = [each for each in ran.trace.sightings if isinstance(each, HookAgain)]
    assert [(each.name, each.at.line if each.at else 0) for each in found] == [("net.bias", 9)]
    assert found[0].times == 12
