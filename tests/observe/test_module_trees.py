"""What is noted inside a module of torch's is learned, and told from then on."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.observe.hooks.modules.trees import Tree
from graphlab.trace.model import Backward, Trace

Net = nn.Sequential
LATE = 40


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nodes each call made whose inside was told."""
    calls: list[int] = []
    tell = Tree.tell

    def counted(self: Tree, marks: Any, mark: Any, made: int) -> None:
        calls.append(made)
        tell(self, marks, mark, made)

    monkeypatch.setattr(Tree, "tell", counted)
    return calls


def watched(last: int, spoil: Callable[[Net], None], before: Any = None) -> Trace:
    """The trace of a training that `spoil` breaks in iteration `last`."""
    torch.manual_seed(0)
    net = Net(nn.Linear(4, 8), Net(nn.Sigmoid(), nn.Linear(8, 8)), nn.Sigmoid(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        for step in range(last + 1):
            if before is not None and step == last // 2:
                before(net)
            loss = net(torch.randn(3, 4)).mean()
            if step == last:
                spoil(net)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return session.trace


def write_inner(net: Net) -> None:
    inner: Any = net[1]
    with torch.no_grad():
        inner[1].weight.mul_(1.0)


def saved_in(trace: Trace) -> list[tuple[Any, ...]]:
    return [
        (each.operation, each.module, each.at and each.at.line)
        for event in trace.events
        if isinstance(event, Backward)
        for each in event.problems
    ]


def test_a_late_error_is_told_as_an_early_one(told: list[int]) -> None:
    early = saved_in(watched(1, write_inner))
    assert not told
    late = saved_in(watched(LATE, write_inner))
    assert told
    assert early == late
    assert early[0][1] == "net.1.1"


def test_a_layer_that_is_replaced_is_another(told: list[int]) -> None:
    def replace(net: Net) -> None:
        net[3] = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 1))

    def write(net: Net) -> None:
        last: Any = net[3]
        with torch.no_grad():
            last[1].weight.mul_(1.0)

    assert [each[1] for each in saved_in(watched(LATE, write, replace))] == ["net.3.1"]
    assert told


def test_a_layer_that_is_replaced_is_another_in_every_way_of_calling() -> None:
    """The number of nodes is another where the input requires grad: each was learned by itself."""
    torch.manual_seed(0)
    net = Net(nn.Sigmoid(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 1))

    def forward(grad: bool) -> torch.Tensor:
        return net(torch.randn(3, 4, requires_grad=grad)).mean()

    with graphlab.watch() as session, pytest.raises(RuntimeError):
        for grad in (False, True):
            for _ in range(LATE):
                forward(grad).backward()
        net[3] = nn.Linear(4, 1)
        for _ in range(LATE):
            forward(True).backward()
        # The first call with a number of nodes that is new is told by the outer module alone.
        forward(False)
        loss = forward(False)
        with torch.no_grad():
            net[3].weight.mul_(1.0)
        loss.backward()
    assert [each[1] for each in saved_in(session.trace)] == ["net.3"]


def test_no_module_is_kept_alive() -> None:
    def trained() -> list[Any]:
        net = Net(nn.Linear(2, 2), Net(nn.Linear(2, 2)))
        for _ in range(20):
            net(torch.randn(1, 2)).sum().backward()
        return [weakref.ref(each) for each in net.modules()]

    with graphlab.watch():
        gone = trained()
        gc.collect()
        assert [each() for each in gone] == [None] * 4
