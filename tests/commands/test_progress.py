"""The line that says what a long command does: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from graphlab.commands.progress import Line, Progress
from graphlab.views.console import Screen


def shown(terminal: bool, kind: str = "xterm") -> str:
    file = io.StringIO()
    console = Screen(
        file=file, width=10, force_terminal=terminal, no_color=True, _environ={"TERM": kind}
    )
    with Line(console) as line:
        line.show("1 of 2: a name")
        line.clear()
        console.print("result")
        line.show("2 of 2: x")
    return file.getvalue()


def test_it_is_gone_before_a_result_and_at_the_end() -> None:
    erased = "\r\x1b[2K"
    before, between, after = shown(terminal=True).split(erased)
    # Cut to the width, so that it is one line.
    assert before == "\x1b[2m1 of 2: a…\x1b[0m"
    assert between == "result\n\x1b[2m2 of 2: x\x1b[0m"
    assert after == ""


@pytest.mark.parametrize(("terminal", "kind"), [(False, "xterm"), (True, "dumb")])
def test_nothing_but_a_terminal_sees_it(terminal: bool, kind: str) -> None:
    assert shown(terminal, kind) == "result\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("prints_there", [False, True])
def test_a_run_shows_it_only_where_the_program_prints_elsewhere(
    monkeypatch: pytest.MonkeyPatch, prints_there: bool
) -> None:
    began: list[object] = []
    session = SimpleNamespace(show_losses=lambda: began.append(None))
    monkeypatch.setattr(sys, "stdout", _Terminal() if prints_there else io.StringIO())
    progress = Progress(Screen(file=io.StringIO(), force_terminal=True))
    progress.start(session)  # pyright: ignore[reportArgumentType]
    progress.stop()
    assert bool(began) is not prints_there
