"""What is on a device is read late: numbers that arrive after others were asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab import catalogue
from graphlab.observe.numbers import late, watch
from graphlab.rules.expected import mismatch
from graphlab.rules.registry import find
from graphlab.trace.sightings import NonFinite


class Event:
    """Of a device that is so many looks behind."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def query(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    def synchronize(self) -> None:
        self._looks = 0


SOON = pytest.mark.parametrize("behind", [0, 1], indirect=True, ids=["at once", "one look"])


@pytest.fixture(params=[0, 1, 4, None], ids=["at once", "one look", "four looks", "together"])
def behind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The CPU's tensors as a device's whose numbers arrive after so many looks each."""
    looks = request.param

    def carried(self: Any, numbers: Any) -> tuple[Any, Any]:
        return numbers.clone(), None if looks is None else Event(looks)

    monkeypatch.setattr(watch, "device_of", lambda tensor: "cuda")
    monkeypatch.setattr(late.Numbers, "_carried", carried)
    # A torch without CUDA cannot be asked.
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    return looks


def watched(train: Callable[[], None]) -> tuple[list[Any], Any]:
    torch.manual_seed(0)
    with graphlab.watch() as session:
        train()
    findings = [each for each in find(session.trace) if each.code in ("GL201", "GL202")]
    numbers = [each for each in session.trace.sightings if isinstance(each, NonFinite)]
    return findings, numbers[0] if numbers else None


def a_batch_of(step: int, bad: int) -> torch.Tensor:
    x = torch.randn(16, 4)
    if step == bad:
        x[3, 2] = math.nan
    return x


@pytest.mark.parametrize("bad", [0, 23, 39])
def test_the_iteration_of_a_loss_that_is_not_finite(behind: int | None, bad: int) -> None:
    def train() -> None:
        net = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        for step in range(40):
            loss = net(a_batch_of(step, bad)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    (finding,), seen = watched(train)
    assert finding.code == "GL201"
    assert (seen.iteration, seen.look_from, seen.step) == (bad, bad, "optimizer.step()")
    assert seen.loss == "loss"


def test_a_gradient_of_a_finite_loss(behind: int | None) -> None:
    def train() -> None:
        net = nn.Linear(4, 3)
        optimizer = torch.optim.Adam(net.parameters(), 0.1)
        for step in range(30):
            out = net(torch.randn(16, 4))
            apart = out - out.detach() if step == 11 else out
            loss = apart.norm(dim=1).mean() + apart.square().sum(1).sqrt().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    (finding,), seen = watched(train)
    if behind in (0, 1):
        assert finding.code == "GL202"
        assert (seen.iteration, seen.operation) == (11, "SqrtBackward")
    else:
        # What could tell the operation has been let go of by then.
        assert seen.look_from == 11


def test_two_networks_and_the_loss_of_one(behind: int | None) -> None:
    def train() -> None:
        one, two = nn.Linear(4, 4), nn.Linear(4, 1)
        first = torch.optim.SGD(one.parameters(), 0.01)
        second = torch.optim.SGD(two.parameters(), 0.01)
        for step in range(30):
            two_loss = two(one(a_batch_of(step, 17)).detach()).square().mean()
            second.zero_grad()
            two_loss.backward()
            second.step()
            one_loss = two(one(torch.randn(16, 4))).mean()
            first.zero_grad()
            one_loss.backward()
            first.step()

    (finding,), seen = watched(train)
    assert finding.code == "GL201"
    assert (seen.iteration, seen.loss, seen.step) == (17, "two_loss", "second.step()")


@SOON
def test_a_training_that_diverged(behind: int | None) -> None:
    def train() -> None:
        net = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(net.parameters(), 3.0)
        x = torch.randn(64, 4) * 2
        for _ in range(60):
            loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    _, seen = watched(train)
    assert seen is not None and seen.grown is not None


def test_what_does_no_harm_is_not_told(behind: int | None) -> None:
    def train() -> None:
        net = nn.Linear(4, 1)
        optimizer = torch.optim.Adam(net.parameters(), 0.01)
        for step in range(40):
            loss = net(a_batch_of(step, 23)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            finite = all(each.grad.isfinite().all() for each in net.parameters())
            if finite:
                optimizer.step()

    assert watched(train) == ([], None)


def test_many_numbers_on_their_way_are_read_in_the_end() -> None:
    numbers = late.Numbers()
    for at in range(late.WAITING - 1):
        numbers.ask(at, [torch.tensor(float(at))])
        numbers.send()
    assert [*numbers.ready()] == []
    numbers.ask("last", [torch.tensor(1.0), torch.tensor(math.inf, dtype=torch.float64)])
    numbers.send()
    read = [*numbers.ready()]
    assert len(read) == late.WAITING and read[-1] == ("last", math.inf)
    assert not numbers.waiting


def test_steps_without_a_loss_do_not_pile_up() -> None:
    numbers = late.Numbers()
    for at in range(3 * late.WAITING):
        numbers.ask(at, [torch.tensor(float(at))])
        read = [what for what, _ in numbers.ready()]
        assert len(read) in (0, late.WAITING)
    assert len(numbers._open) < late.TOGETHER and not numbers.waiting


def test_no_event_is_asked_for_in_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA ends the capture of a graph at such a question."""
    asked: list[Event] = []

    class Asked(Event):
        def query(self) -> bool:
            asked.append(self)
            return super().query()

    monkeypatch.setattr(late.Numbers, "_carried", lambda self, given: (given, Asked(0)))
    numbers = late.Numbers()
    numbers.ask("loss", [torch.tensor(1.0)])
    numbers.send()
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert [*numbers.ready()] == [] and asked == []
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    assert [*numbers.ready()] == [("loss", 1.0)]


@SOON
@pytest.mark.parametrize("name", ["overflow", "overflow-masked"])
def test_a_scenario_is_told_as_on_the_cpu(
    behind: int | None, observe: Callable[..., Any], name: str
) -> None:
    """Two networks, each of which has losses that are not finite for the other's sake."""
    ran = observe(name)
    expected = catalogue.scenario(name).expected("adam")
    assert expected is not None and mismatch(expected, ran.findings) is None
    (seen,) = (each for each in ran.trace.sightings if isinstance(each, NonFinite))
    assert 3 in (seen.iteration, seen.look_from)
