"""The log's events are read by one thread while others add to them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from graphlab.observe.notes import FEW_EVENTS, KEEP_EVENTS, Events


@pytest.fixture
def adding() -> Iterator[Events]:
    """Events that other threads add to all the time, numbered from 0 on."""
    events, over = Events(), threading.Event()
    interval = sys.getswitchinterval()

    def add() -> None:
        at = 0
        while not over.is_set():
            events.append(at)
            at += 1

    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=add)
    thread.start()
    yield events
    over.set()
    thread.join()
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("order", [iter, reversed])
def test_they_are_read_while_others_are_added(adding: Events, order: Callable[..., Any]) -> None:
    for _ in range(40):
        read: list[int] = []
        for each in order(adding):
            read.append(each)
        assert read == sorted(read, reverse=order is reversed)


def test_one_is_put_before_another() -> None:
    events = Events(["first", "it", *range(FEW_EVENTS)])
    events.put("put", "it")
    assert [*events] == ["first", "put", "it", *range(FEW_EVENTS)]


@pytest.mark.parametrize("count", [0, 1, FEW_EVENTS, FEW_EVENTS + 1, KEEP_EVENTS, KEEP_EVENTS + 5])
def test_the_newest_come_first(count: int) -> None:
    events = Events()
    for at in range(count):
        events.append(at)
    kept = [*range(count)][-KEEP_EVENTS:]
    assert [*events] == kept
    assert [*reversed(events)] == kept[::-1]


def test_nothing_is_put_where_there_is_no_room_or_no_such_event() -> None:
    full = Events(range(KEEP_EVENTS))
    full.put("new", 5)
    assert [*full] == [*range(KEEP_EVENTS)]
    some = Events(range(3))
    some.put("new", 8)
    assert [*some] == [0, 1, 2]
