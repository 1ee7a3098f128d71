"""A NaN in what a module keeps, which no loss that is trained on has read."""

from __future__ import annotations

import weakref
from pathlib import Path

import pytest
import torch

from graphlab.observe.notes import Log
from graphlab.observe.numbers.kept.buffers import Buffers
from graphlab.trace.sightings import NonFinite
from tests.observe.test_numbers import told

NORM = """\
import torch
from torch import nn

torch.manual_seed(0)


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("spread", torch.ones(4))
        self.register_buffer("missing", torch.full((2,), float("nan")))
        self.register_buffer("mask", torch.full((4,), float("-inf")))

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.spread.lerp_(x.var(0), 0.1)
            return x / x.std(correction=0)
        return x / self.spread.sqrt()


def train(sizes):
    net = nn.Sequential(Norm(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for size in sizes:
        loss = net(torch.randn(size, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


"""
# What the end of a function takes along, a look at a step has to see.
SHORT, LONG = "net = train([8, 8, 1])\n", "train([8, 1] + [8] * 20)\n"


@pytest.mark.parametrize("calls", [SHORT, LONG], ids=["at-the-end", "at-a-step"])
def test_it_is_told_with_the_buffers_name_and_where_a_second_run_looks(
    tmp_path: Path, calls: str
) -> None:
    (seen,) = told(tmp_path, NORM + calls)
    assert (seen.phase, seen.kind, seen.at, seen.look_from) == ("kept", "nan", None, 0)
    assert len(seen.tensors) == 1


@pytest.mark.parametrize("calls", [SHORT, LONG], ids=["at-the-end", "at-a-step"])
def test_the_second_run_names_the_operation(tmp_path: Path, calls: str) -> None:
    (seen,) = told(tmp_path, NORM + calls, nan_from=0)
    line = NORM.splitlines().index("                self.spread.lerp_(x.var(0), 0.1)") + 1
    assert seen.at is not None and seen.at.line == line
    assert (seen.operation, seen.operand) == ("var", "x")
    assert seen.iteration == (2 if calls is SHORT else 1)


@pytest.mark.parametrize("nan_from", [None, 0])
def test_marks_that_were_there_from_the_start_are_meant(
    tmp_path: Path, nan_from: int | None
) -> None:
    assert told(tmp_path, NORM + "net = train([8] * 40)\n", nan_from) == []


def test_a_loss_that_reads_it_is_told_of_by_the_loss(tmp_path: Path) -> None:
    text = NORM.replace("x / x.std(correction=0)", "x / self.spread")
    (seen,) = told(tmp_path, text + "net = train([8, 1] + [8] * 20)\n")
    assert isinstance(seen, NonFinite) and seen.phase != "kept" and seen.in_loss


def test_what_a_device_has_is_told_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphlab.observe.numbers.kept.buffers.device_of", lambda tensor: "cuda")
    log, norm = Log(), torch.nn.BatchNorm1d(3)
    log.modules[id(norm)] = weakref.ref(norm)
    buffers = Buffers(log)
    buffers.begin()
    assert norm.running_var is not None
    norm.running_var[1] = float("nan")
    assert buffers.ill() == []
    assert [id(each) for each in buffers.ill()] == [id(norm.running_var)]
    assert [id(each) for each in buffers.ill(at_once=True)] == [id(norm.running_var)]
