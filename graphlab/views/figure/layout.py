"""Lays out DOT text in a child process with a time limit, by `dot` or pygraphviz's Graphviz."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# The formats that need a layout.
DRAWN = ("svg", "png", "pdf")
# The part of the time limit for the first try.
FIRST_SHARE = 0.6
# The child's program. It does not import graphlab or torch, so it starts fast.
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
    """Graphviz failed or is missing; the message is Graphviz's, in one line."""


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """The picture, or None if every try ran out of time, and the index of the last try."""

    data: bytes | None
    attempt: int
    seconds: float


def engine(bundled: bool = False) -> list[str]:
    """The command of the layout engine; the output format is to be appended."""
    found = None if bundled else shutil.which("dot")
    return [found, "-T"] if found else [sys.executable, "-c", _CHILD, ""]


def lay_out(
    tries: Iterable[Callable[[], str]], form: str, timeout: float = 20.0, bundled: bool = False
) -> LayoutResult:
    """Lay out the first of `tries` that finishes in its part of `timeout` seconds.

    Each try makes its DOT text only when it is its turn. All of them together take at most
    `timeout`, and the start of the child.

    Raises:
        LayoutError: Graphviz rejects the text, or is not installed.
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
