"""The progress line of a long run, on stderr and only in a terminal: never in a pipe."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation

# A run shorter than this shows no progress at all.
PATIENCE = 1.5
BAR = 12


class Progress:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._session: Observation | None = None
        self._live: Live | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._process = os.getpid()

    def start(self, session: Observation) -> None:
        """Begin to watch the watcher, from a thread of its own."""
        if not self._console.is_terminal or "rich" not in sys.modules:
            # Where the program has a rich of its own, ours would look for its parts in that one.
            return
        self._session = session
        self._began = time.monotonic()
        session.show_losses()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if os.getpid() != self._process:
            # A child that the program forked: the line is its parent's, and so is its lock.
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        if self._live is not None:
            with contextlib.suppress(Exception):
                self._live.stop()

    def _run(self) -> None:
        # A line that cannot be shown is worth no traceback in the middle of a program.
        with contextlib.suppress(Exception):
            self._show()

    def _show(self) -> None:
        if self._stop.wait(PATIENCE):
            return
        # redirect_*=False: the program's own prints stay its own, byte for byte.
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
