"""Lines that make no node are not followed for long; what they do later is told all the same."""

from __future__ import annotations

import contextlib
import random
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.observe import program
from graphlab.observe.process_state import PROCESS


def counted(limit: int) -> int:
    """Much Python and no node."""
    found = 0
    for each in range(limit):
        if each % 3:
            found += each
        else:
            found -= 1
    return found


def is_followed() -> bool:
    """Whether a line of a calm function is followed now."""
    tracer: Any = PROCESS.active._tracer
    if tracer.switches:
        return id(counted.__code__) not in tracer._calm.known
    lines = tracer._known[id(counted.__code__)]
    return not all(line.off for line in lines.values())


def train(steps: int, surprise: int, what: Any) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(steps):
        counted(60)
        loss = net(torch.randn(5, 3)).pow(2).mean()
        if step == surprise:
            what(net, optimizer, loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def extra_step(net: nn.Module, optimizer: Any, loss: torch.Tensor) -> None:
    hidden = net(torch.randn(5, 3)).exp()
    hidden.sum().backward()
    optimizer.step()


def test_a_calm_function_is_followed_no_more() -> None:
    with graphlab.watch() as session:
        train(300, -1, None)
        assert not is_followed()
    assert session.findings == [] and session.trace.unseen == ()
    assert session.trace.iterations == 300


def test_an_error_in_a_branch_that_first_runs_late() -> None:
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        train(400, 390, extra_step)
    (finding,) = (each for each in session.findings if each.code == "GL001")
    assert finding.iteration == 390
    assert finding.tensor is not None and finding.tensor.tensor.name == "net.2.weight"
    assert finding.mutated is not None and finding.mutated.at is not None
    assert finding.mutated.at.function == "extra_step"
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.code == "loss = net(torch.randn(5, 3)).pow(2).mean()"


class Player(nn.Module):
    """Plays for long without gradients, before it learns through the same lines."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3, 8), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.body(x))
        h = h * 2
        out = self.head(h)
        return out.squeeze(-1)


def test_lines_that_made_no_node_for_long() -> None:
    player = Player()
    optimizer = torch.optim.SGD(player.parameters(), lr=0.01)
    chance = random.Random(0)
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        for step in range(300):
            with torch.no_grad():
                player(torch.full((2, 3), chance.random()))
            if step < 290:
                continue
            loss = player(torch.ones(2, 3)).sum()
            if step == 295:
                with torch.no_grad():
                    player.head.weight.add_(1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    (finding,) = (each for each in session.findings if each.code == "GL001")
    assert finding.iteration == 295
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.code == "out = self.head(h)"


def test_what_one_session_let_go_of_is_followed_by_the_next() -> None:
    """Whatever Python remembers of what a tool has switched off."""
    with graphlab.watch():
        for _ in range(100):
            train(1, -1, None)
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        train(3, 2, extra_step)
    (finding,) = (each for each in session.findings if each.code == "GL001")
    assert finding.iteration == 2
    assert finding.saved is not None and finding.saved.at is not None
    assert finding.saved.at.code == "loss = net(torch.randn(5, 3)).pow(2).mean()"


def test_a_line_that_raises_keeps_no_frame() -> None:
    """Its end is no event where an exception ends the frame."""
    shared = torch.zeros(4)
    array = shared.numpy()

    class Held:
        pass

    def fails(held: Held) -> None:
        array[held] = 1.0

    refs = []
    with graphlab.watch():
        for _ in range(40):
            held = Held()
            refs.append(weakref.ref(held))
            with contextlib.suppress(IndexError):
                fails(held)
        del held
        assert sum(each() is not None for each in refs) < 20


def test_a_deep_recursion_ends_where_it_does_unwatched() -> None:
    def down(n: int) -> int:
        return 0 if n == 0 else 1 + down(n - 1)

    def depth() -> int:
        n = 100
        while True:
            try:
                down(n)
            except RecursionError:
                return n
            n += 1

    before = depth()
    with graphlab.watch():
        during = [depth() for _ in range(2)]
    # A trace function needs room of its own, which is not known to the frame.
    room = 0 if sys.version_info >= (3, 12) else 3
    assert before <= during[0] == during[1] <= before + room


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in Python 3.12")
def test_other_tools_keep_working() -> None:
    monitoring: Any = sys.monitoring  # pyright: ignore[reportAttributeAccessIssue]
    lines: list[int] = []
    monitoring.use_tool_id(3, "another")
    try:
        monitoring.register_callback(3, monitoring.events.LINE, lambda code, n: lines.append(n))
        monitoring.set_local_events(3, counted.__code__, monitoring.events.LINE)
        counted(5)
        alone, lines[:] = [*lines], []
        with graphlab.watch():
            counted(5)
        assert lines == alone
    finally:
        monitoring.set_local_events(3, counted.__code__, 0)
        monitoring.free_tool_id(3)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring follows every line")
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_loop_that_begins_after_much_python_is_counted(tmp_path: Path, epochs: int) -> None:
    text = f"""\
import torch

def much():
    cells = []
    for i in range(400):
        cells.append(["%.3f" % v for v in range(5)])
    return cells

def run():
    much()
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for epoch in range({epochs}):
        for step in range(4):
            loss = net(torch.randn(3, 2)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

run()
"""
    path = tmp_path / "train.py"
    path.write_text(text)
    ran = program.run(program.script(str(path)), [], "train", lambda _: None)
    assert ran.trace.iterations == 4 * epochs
