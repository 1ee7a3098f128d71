"""What a branch makes that first runs late is looked at, at lines that were looked at before."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Looks
from graphlab.trace.sightings import BroadcastLoss, SoftmaxTwice

START = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(420):
    out = net(torch.randn(8, 6))
"""
STEP = """\
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SOFTMAX = """\
    if step >= 400:
        out = F.softmax(out, dim=1)
    loss = F.cross_entropy(out, torch.randint(3, (8,)))
"""
PAIRS = """\
    out = out.sum(1, keepdim=True)
    if step < 400:
        out = out.squeeze(1)
    loss = (out - torch.randn(8)).pow(2).mean()
"""


@pytest.mark.parametrize("body, kind", [(SOFTMAX, SoftmaxTwice), (PAIRS, BroadcastLoss)])
def test_a_branch_that_ran_late(tmp_path: Path, body: str, kind: type) -> None:
    path = tmp_path / f"{kind.__name__.lower()}.py"
    path.write_text(START + body + STEP, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert [type(each) for each in ran.trace.sightings if isinstance(each, kind)] == [kind]


def test_how_often_graphs_are_looked_at() -> None:
    looks, record = Looks(), RawBackward(0, None, "loss.backward()", "loss", 0, False)
    assert [looks.due(record, [None] * 5) for _ in range(3)] == [True, True, False]
    assert looks.due(record, [None] * 6)
    # A graph that is never the same twice is not looked at every time.
    assert sum(looks.due(record, [None] * size) for size in range(100, 200)) < 20
