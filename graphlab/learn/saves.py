"""Tells which files are saved and which lines are typed, in the order in which it happens."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from graphlab.errors import UserError
from graphlab.language import message


def events(folder: Path) -> Iterator[Path | str]:
    """A Path for each Python file that is saved in `folder`, a string for each line that is typed.
    Ends where the terminal's input does. What happens before the first is asked for is kept.

    Raises:
        UserError: when the folder cannot be watched.
    """
    from watchfiles import Change, PythonFilter, watch

    happened: queue.SimpleQueue[Path | str | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def saved() -> None:
        try:
            for changes in watch(folder, watch_filter=PythonFilter(), stop_event=stop):
                # An editor may remove a file and write it anew: only the outcome counts.
                for path in sorted({path for kind, path in changes if kind != Change.deleted}):
                    happened.put(Path(path))
        except Exception as error:
            happened.put(error)

    def typed() -> None:
        for line in sys.stdin:
            happened.put(line.strip())
        happened.put(None)

    for work in (saved, typed):
        threading.Thread(target=work, daemon=True).start()
    return _told(happened, stop, folder)


def _told(
    happened: queue.SimpleQueue[Path | str | BaseException | None],
    stop: threading.Event,
    folder: Path,
) -> Iterator[Path | str]:
    try:
        while True:
            # With a limit, as Windows lets Ctrl-C through only between two waits.
            try:
                what = happened.get(timeout=0.5)
            except queue.Empty:
                continue
            if isinstance(what, BaseException):
                raise UserError(
                    message("usage.cannot_watch", path=str(folder), why=str(what)),
                    message("usage.help.check_one"),
                )
            if what is None:
                return
            yield what
    finally:
        stop.set()
