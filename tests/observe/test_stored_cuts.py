"""What is seen of summands that lost their graph in another function, such as a forward hook."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.sightings import TermCut

SCRIPT = """\
import torch
from torch import nn
from torch.nn import functional as F

class Tap:
    def __init__(self, module):
        self.out = {{}}
        module.register_forward_hook(self.make("mid"))

    def make(self, name):
        def hook(module, args, output):
            self.out[name] = {kept}
        return hook

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.mid, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        hidden = torch.tanh(self.mid(x))
        self.spread = hidden{cut}.var(0)
        return self.head(hidden)

def train(weight=0.5):
    torch.manual_seed(0)
    teacher, student = Net().requires_grad_(False), Net()
    theirs, mine = Tap(teacher.mid), Tap(student.mid)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for step in range(4):
        x, y = torch.randn(8, 4), torch.randint(0, 3, (8,))
        teacher(x)
        loss = F.cross_entropy(student(x), y)
        extra = {extra}
        total = loss + weight * extra
        optimizer.zero_grad()
        total.backward()
        optimizer.step()

train()
"""


def seen(tmp_path: Path, extra: str, kept: str = "output", cut: str = "") -> list[TermCut]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(extra=extra, kept=kept, cut=cut), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, TermCut)]


MATCH = 'F.mse_loss(mine.out["mid"], theirs.out["mid"])'


@pytest.mark.parametrize(
    ("extra", "kept", "cut", "line", "by"),
    [
        (MATCH, "output.detach()", "", 12, "output.detach()"),
        (
            '(mine.out["mid"] - theirs.out["mid"]).abs().mean()',
            "output.data",
            "",
            12,
            "output.data",
        ),
        ("student.spread.mean()", "output", ".detach()", 22, "hidden.detach()"),
    ],
)
def test_cut_where_it_was_stored(
    tmp_path: Path, extra: str, kept: str, cut: str, line: int, by: str
) -> None:
    (found,) = seen(tmp_path, extra, kept, cut)
    assert found.at is not None
    assert (found.at.line, found.by, found.term) == (line, by, "weight * extra")


@pytest.mark.parametrize(
    ("extra", "kept", "cut"),
    [
        (MATCH, "output", ""),
        ("student.spread.mean()", "output.detach()", ""),
        # It was not to train anything: the teacher's part.
        ('theirs.out["mid"].mean()', "output.detach()", ""),
        # The other side has a graph.
        ('F.mse_loss(mine.out["mid"].detach(), student.mid(x))', "output.detach()", ""),
        ("0.1", "output.detach()", ".detach()"),
    ],
)
def test_not_where_it_has_a_graph(tmp_path: Path, extra: str, kept: str, cut: str) -> None:
    assert seen(tmp_path, extra, kept, cut) == []
