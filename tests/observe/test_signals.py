"""What a signal handler of the program raises is the program's, wherever it came."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
import torch

import graphlab
from graphlab.errors import pass_on
from graphlab.observe.optimizers.ledger import OptimizerLedger


class OutOfTime(Exception):
    pass


def raising(number: int, frame: FrameType | None) -> None:
    raise OutOfTime


class Raising:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raising(number, frame)

    def method(self, number: int, frame: FrameType | None) -> None:
        raising(number, frame)


@pytest.fixture
def handled() -> Iterator[Callable[[Any], None]]:
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def arrive() -> None:
    """A signal, and the moment at which Python runs its handler."""
    signal.raise_signal(signal.SIGUSR1)
    for _ in range(2):
        pass


@pytest.mark.parametrize(
    "handler", [raising, Raising(), Raising().method, functools.partial(raising)]
)
def test_it_is_told_by_its_traceback(handler: Any, handled: Any) -> None:
    handled(handler)
    with pytest.raises(OutOfTime) as caught:
        arrive()
    with pytest.raises(OutOfTime):
        pass_on(caught.value)


def test_another_error_is_not(handled: Any) -> None:
    handled(raising)
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("a")
    pass_on(caught.value)


def test_a_time_limit_that_ends_in_a_hook_ends_the_loop(
    handled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for a failure of the hook's, it would be lost, and a loop that waits for it endless."""
    begins = OptimizerLedger.step_begins

    def late(*args: Any) -> None:
        arrive()
        begins(*args)

    monkeypatch.setattr(OptimizerLedger, "step_begins", late)
    handled(raising)
    weight = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    steps = 0
    with graphlab.watch() as session:
        weight.sum().backward()
        with pytest.raises(OutOfTime):
            while steps < 3:
                optimizer.step()
                steps += 1
    assert steps == 0
    assert session.trace.unseen == ()
