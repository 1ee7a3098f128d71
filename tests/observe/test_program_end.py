"""What Python says when a program has ended, said by us in the same words."""

from __future__ import annotations

import io
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab.observe import program_end as ending


class Unsayable:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        (None, 0, ""), (3, 3, ""), (True, 1, ""), (-1, -1, ""), (2**70, 2**70, ""),
        ("text", 1, "text\n"), ("", 1, "\n"), ((1, 2), 1, "(1, 2)\n"), (Unsayable(), 1, "\n"),
    ],
)  # fmt: skip
def test_every_exit_code(
    capsys: pytest.CaptureFixture[str], code: Any, expected: int, said: str
) -> None:
    assert ending.exit_code(SystemExit(code)) == expected
    assert capsys.readouterr().err == said


def test_no_error_is_zero() -> None:
    assert ending.exit_code(None) == 0


def test_an_error_is_printed_by_the_programs_hook(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def hook(kind: Any, error: Any, traceback: Any) -> None:
        seen.append((kind, error, sys.exc_info()[0]))

    monkeypatch.setattr(sys, "excepthook", hook)
    error = ValueError("mine")
    assert ending.exit_code(error) == 1
    assert ending.exit_code(KeyboardInterrupt()) == 130
    assert seen[0] == (ValueError, error, None)
    assert isinstance(sys.last_value, KeyboardInterrupt)


def test_a_hook_that_raises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hook(*_: Any) -> None:
        raise KeyError("hook")

    monkeypatch.setattr(sys, "excepthook", hook)
    assert ending.exit_code(ValueError("mine")) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Error in sys.excepthook:"
    # No frame of the package's, whatever the checkout's folder is called.
    assert str(Path(graphlab.__file__).parent) not in "\n".join(said)
    assert said[-3:] == ["", "Original exception was:", "ValueError: mine"]


def test_a_hook_that_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *_: sys.exit(5))
    assert ending.exit_code(ValueError("mine")) == 5


def test_a_hook_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(sys, "excepthook")
    assert ending.exit_code(ValueError("mine")) == 1
    assert capsys.readouterr().err.startswith("sys.excepthook is missing\n")


def test_streams_that_cannot_be_flushed_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None, object()):
        monkeypatch.setattr(sys, "stdout", stream)
        ending.flush()
    monkeypatch.delattr(sys, "stdout")
    ending.flush()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers as POSIX has them")
def test_no_time_limit_ends_in_the_report() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 5000)
    try:
        held = ending.hold_time_limits()
        assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
        ending.put_back_time_limits(held)
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 4000
        assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
