"""What is seen of parameters that a function makes anew in each call."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.model import Trace

HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
body = nn.Linear(4, 3)
optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
kept = []

"""
LOOP = """
for step in range(8):
    x, y = torch.randn(6, 4), torch.randint(0, 3, (6,))
    loss = work(x, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def traced(tmp_path: Path, work: str) -> Trace:
    path = tmp_path / "script.py"
    path.write_text(HEAD + work + LOOP, encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return ran.trace


@pytest.mark.parametrize(
    ("work", "line", "names"),
    [
        (
            """\
def scale():
    factor = nn.Parameter(torch.tensor(2.0))
    return factor.exp()

def work(x, y):
    return F.cross_entropy(scale() * body(x), y)
""",
            11,
            ["factor"],
        ),
        (
            """\
def work(x, y):
    hidden = torch.tanh(body(x))
    fc = nn.Linear(hidden.size(1), 3)
    return F.cross_entropy(fc(hidden), y)
""",
            12,
            ["fc.weight", "fc.bias"],
        ),
        (
            """\
def work(x, y):
    return F.cross_entropy(nn.Linear(3, 3, bias=False)(body(x)), y)
""",
            11,
            ["nn.Linear(…).weight"],
        ),
    ],
)
def test_made_anew_and_held_by_nothing(
    tmp_path: Path, work: str, line: int, names: list[str]
) -> None:
    trace = traced(tmp_path, work)
    assert [trace.tensors[each.tensor].name for each in trace.forgotten] == names
    for each in trace.forgotten:
        assert each.anew and each.made is not None and each.made.line == line


@pytest.mark.parametrize(
    "work",
    [
        # An attack, which reads the gradient while the function that made it runs.
        """\
def work(x, y):
    delta = nn.Parameter(torch.randn_like(x) * 0.01)
    for _ in range(2):
        F.cross_entropy(body(x + delta), y).backward()
        with torch.no_grad():
            delta.add_(0.1 * delta.grad.sign())
        delta.grad = None
    return F.cross_entropy(body((x + delta).detach()), y)
""",
        # One that is kept, so that its gradient can be read.
        """\
def work(x, y):
    noise = nn.Parameter(torch.randn_like(x) * 0.1)
    kept.append(noise)
    return F.cross_entropy(body(x + noise), y)
""",
        # How a state begins, and a norm without weights that train.
        """\
def state(n):
    start = nn.Parameter(torch.zeros(n, 3))
    return start + 0.0

def work(x, y):
    return F.cross_entropy(nn.LayerNorm(3)(body(x)) + state(len(x)), y)
""",
        # A copy of what is trained.
        """\
import copy

def work(x, y):
    return F.cross_entropy(copy.deepcopy(body)(x) + body(x), y)
""",
    ],
)
def test_held_by_something_or_no_weight(tmp_path: Path, work: str) -> None:
    assert traced(tmp_path, work).forgotten == ()
