"""How a module's class writes to a buffer in training, and what computes with it."""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.sightings.ranks.buffers.uses import Uses, uses_of
from graphlab.source.files import UserFiles

MODULE = """\
import torch
from torch import nn
from torch.nn import functional as F


def moved(buffer, value):
    buffer.data.mul_(0.9).add_(value, alpha=0.1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("state", torch.zeros(3))
        self.register_buffer("mean", torch.zeros(3))

    def refresh(self, x):
        {write}

    def report(self):
        return self.state.sum()

    def forward(self, x):
        self.refresh(x)
        {read}
        return x
"""


def uses(folder: Path, write: str, read: str = "x = x - self.state") -> Uses:
    source = MODULE.format(write=write, read=read)
    path = folder / "net.py"
    path.write_text(source)
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"__name__": "net"}
    exec(compile(source, str(path), "exec"), scope)
    return uses_of(scope["Net"](), "state", UserFiles())


@pytest.mark.parametrize(
    ("write", "grows", "data"),
    [
        ("self.state.mul_(0.9).add_(x.mean(0), alpha=0.1)", True, True),
        ("self.state.lerp_(x.mean(0), 0.1)", True, True),
        ("self.state = 0.9 * self.state + 0.1 * x.mean(0)", True, True),
        ("self.state += x.mean(0)", True, True),
        ("moved(self.state, x.mean(0))", True, True),
        ("self.state.data.copy_(self.mean)", False, False),
        ("new = self.mean / 2; self.state.copy_(new)", False, True),
        ("self.state[:2] = x[0, :2]", False, True),
        ("self.state = x.detach().mean(0)", False, True),
    ],
)
def test_what_writes_to_a_buffer(write: str, grows: bool, data: bool, tmp_path: Path) -> None:
    found = uses(tmp_path, write)
    assert [(each.at.line, each.data) for each in found.writes] == [(17, data)]
    assert found.grows == grows
    assert ("mean" in found.writes[0].reads) == ("self.mean" in write)
    assert found.at is not None and found.at.line == 24


@pytest.mark.parametrize(
    ("read", "used"),
    [
        ("x = x - self.state", True),
        ("x = x - (x.mean(0) if self.training else self.state)", False),
        ("x = x - (x.mean(0) if self.training or x is None else self.state)", False),
        ("x = x - (self.state if self.training else 0)", True),
        ("x = x[: self.state.shape[0]]", False),
        ("print(self.state.item())", False),
        ("x = F.batch_norm(x, self.state, self.mean, training=self.training)", False),
        ("return x, self.state", False),
        ("return x - self.state", True),
        ("x = x if self.training else x - self.state", False),
    ],
)
def test_what_computes_with_a_buffer(read: str, used: bool, tmp_path: Path) -> None:
    assert (uses(tmp_path, "self.state.lerp_(x, 0.1)", read).at is not None) == used
