"""Which attributes of a class are running statistics that its results depend on."""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

import pytest

from graphlab.observe.sightings.ranks.buffers.statistics import Statistic, statistics_of
from graphlab.source.files import UserFiles

KEEPER = """\
import torch


class Keeper:
    def __init__(self):
        self.state = torch.zeros(3)
        self.count = 0

    def update(self, x, helper):
        {write}

    def apply(self, x):
        {read}


def moved(old, value):
    return 0.9 * old + 0.1 * value
"""


def found(folder: Path, write: str, read: str = "return x - self.state") -> Statistic | None:
    source = KEEPER.format(write=write, read=read)
    path = folder / "keeper.py"
    path.write_text(source)
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"__name__": "keeper"}
    exec(compile(source, str(path), "exec"), scope)
    return statistics_of(scope["Keeper"], UserFiles()).get("state")


@pytest.mark.parametrize(
    ("write", "reduces"),
    [
        ("self.state = 0.9 * self.state + 0.1 * x.mean(0)", True),
        ("mean = x.mean(0); self.state += (mean - self.state) / 2", True),
        ("new = self.state + x.sum(0); self.state = new / 2", True),
        ("self.state.mul_(0.9).add_(x, alpha=0.1)", False),
        ("self.state[0] = torch.lerp(self.state[0], x.mean(), 0.1)", True),
        ("self.state, self.count = moved(self.state, x), self.count + 1", False),
    ],
)
def test_what_is_made_of_the_old_value_and_a_batch(
    write: str, reduces: bool, tmp_path: Path
) -> None:
    statistic = found(tmp_path, write)
    assert statistic is not None and statistic.constant
    assert (statistic.reduces, statistic.writes[0].data) == (reduces, True)
    assert statistic.used.code == "return x - self.state"


@pytest.mark.parametrize(
    ("write", "read"),
    [
        pytest.param("self.state[:2] = x[:2]", "return x - self.state", id="a queue"),
        pytest.param(
            "self.state = helper.cell(x, self.state)", "return x - self.state", id="a state"
        ),
        pytest.param("print(self.state)", "return x - self.state", id="printed"),
        pytest.param("self.state += x.mean(0)", "return self.state / self.count", id="a meter"),
        pytest.param(
            "self.state += x.mean(0)",
            "delta = x - self.state; self.count += delta",
            id="for itself alone",
        ),
        pytest.param("self.state += x.mean(0)", "return x, self.state", id="handed out"),
    ],
)
def test_what_is_no_statistic_that_results_depend_on(write: str, read: str, tmp_path: Path) -> None:
    assert found(tmp_path, write, read) is None


def test_what_goes_into_the_result_by_variables(tmp_path: Path) -> None:
    read = "scale = self.state + 1e-5; out = x / scale; return out.clamp(-5, 5)"
    assert found(tmp_path, "self.state += x.mean(0)", read) is not None
