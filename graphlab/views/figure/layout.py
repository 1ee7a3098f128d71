"""Lays out DOT text in a child process with a time limit: `dot` where there is one, else the
Graphviz that pygraphviz brings along."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# Formats that only an engine can make.
DRAWN = ("svg", "png", "pdf")
# How much of the time limit the first try may take.
FIRST_SHARE = 0.6
# Reads DOT, writes the picture: all that the child does. It imports nothing of graphlab or torch.
_CHILD = """
import sys
try:
    import pygraphviz
except ImportError:
    sys.exit("no engine")
graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))
"""
_FONTS = b"Fontconfig"


class LayoutError(Exception):
    """The engine failed; the message is its own, in one line."""


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """A picture, or None where every try ran out of time. `attempt` counts from 0."""

    data: bytes | None
    attempt: int
    seconds: float


def engine(bundled: bool = False) -> list[str]:
    """The command that lays out; the format is its last word."""
    found = None if bundled else shutil.which("dot")
    return [found, "-T"] if found else [sys.executable, "-c", _CHILD, ""]


def lay_out(
    tries: Iterable[Callable[[], str]], form: str, timeout: float = 20.0, bundled: bool = False
) -> LayoutResult:
    """Lay out the first of `tries`, DOT texts made when needed, that takes less than its share of
    `timeout` seconds. Never takes longer than that in all, and the child's start.

    Raises:
        LayoutError: when the engine refuses the text, or there is none.
    """
    begin = time.monotonic()
    sources = list(tries)
    for attempt, make in enumerate(sources):
        left = timeout - (time.monotonic() - begin)
        last = attempt == len(sources) - 1
        data = _run(make(), form, left if last else left * FIRST_SHARE, bundled)
        if data is not None:
            return LayoutResult(data, attempt, time.monotonic() - begin)
    return LayoutResult(None, len(sources), time.monotonic() - begin)


def _run(source: str, form: str, limit: float, bundled: bool) -> bytes | None:
    if limit <= 0:
        return None
    command = engine(bundled)
    command[-1] += form
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None
    except OSError as error:
        raise LayoutError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    lines = [line for line in done.stderr.splitlines() if not line.startswith(_FONTS)]
    raise LayoutError(lines[-1].decode(errors="replace") if lines else "it gave no picture")
