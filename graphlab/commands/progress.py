"""The progress of what takes long, on stderr, in a terminal only."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from graphlab.output import streams

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation

# Seconds before the line appears.
PATIENCE = 1.5
# Characters of the bar.
BAR = 12


class Line:
    """One line that says what is being done. It is cleared before anything else is printed, and at
    the end of a ``with`` block."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shows = console.is_terminal and not console.is_dumb_terminal

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        if self._shows:
            self._console.print(Text(text, "dim"), end="", overflow="ellipsis", no_wrap=True)

    def clear(self) -> None:
        if self._shows:
            erase = (ControlType.ERASE_IN_LINE, 2)
            self._console.control(Control(ControlType.CARRIAGE_RETURN, erase))


class Progress:
    """Shows how far an observed program is, while what it prints goes elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._session: Observation | None = None
        self._live: Live | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._process = os.getpid()

    def start(self, session: Observation) -> None:
        """Show the progress of `session` from a thread of its own."""
        if not self._console.is_terminal or streams.out().isatty():
            # What the program prints on the same screen would be erased, a bar of its own as well.
            return
        if "rich" not in sys.modules:
            # With a rich of the program's imported, graphlab's would load parts of that one.
            return
        self._session = session
        self._began = time.monotonic()
        session.show_losses()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if os.getpid() != self._process:
            # In a forked child: the line and its lock are the parent's.
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        if self._live is not None:
            with contextlib.suppress(Exception):
                self._live.stop()

    def _run(self) -> None:
        # An error here would print a traceback into the program's output.
        with contextlib.suppress(Exception):
            self._show()

    def _show(self) -> None:
        if self._stop.wait(PATIENCE):
            return
        # redirect_*=False leaves sys.stdout and sys.stderr as the program has them.
        self._live = Live(
            self._line(), console=self._console, transient=True, refresh_per_second=4,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._live.start()
        while not self._stop.wait(0.25):
            self._live.update(self._line())

    def _line(self) -> Text:
        assert self._session is not None
        done, total, losses = self._session.progress()
        passed = time.monotonic() - self._began
        parts: list[Any] = [f"iteration {done}"]
        if total:
            filled = min(BAR, BAR * done // total)
            parts[0] += f" of {total} {'━' * filled}{'─' * (BAR - filled)}"
        parts.extend(f"{name} {value:.4g}" for name, value in losses.items())
        if total and 0 < done <= total:
            left = round(passed / done * (total - done))
            parts.append(f"{left // 60}:{left % 60:02} left")
        return Text("  ".join(parts), "dim", overflow="ellipsis", no_wrap=True)
