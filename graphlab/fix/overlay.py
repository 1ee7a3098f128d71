"""Serves edited text in place of files on disk, to whatever in this process reads or imports them.

Python has few ways to a source file: a loader's `get_data`, which opens it by `io.open_code`, as
does `runpy`; `open`, for a program that compiles one itself; and `tokenize.open` behind linecache,
through which tracebacks, `inspect` and graphlab read lines. Bytecode on disk is passed over.
"""

from __future__ import annotations

import _io
import builtins
import functools
import importlib.machinery
import io
import multiprocessing.spawn
import os
import tokenize
from collections.abc import Mapping
from typing import Any


def serve(texts: Mapping[str, bytes]) -> None:
    """From now on the files at these real paths read as these bytes, for as long as the process
    lives."""
    known = dict(texts)
    if not known:
        return
    names = {os.path.basename(path) for path in known}

    def edited(path: Any) -> bytes | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        name = os.fsdecode(path)
        # Asked for every file that is opened: the name alone settles nearly all of them.
        if os.path.basename(name) not in names and not os.path.islink(name):
            return None
        return known.get(os.path.realpath(name))

    _serve_opened(edited)
    _serve_imported(edited)


def hand_on(job: str) -> None:
    """From now on processes that multiprocessing spawns, such as ranks and workers of a loader, are
    served what the job at this path says, before they import the main file anew."""
    made = multiprocessing.spawn.get_command_line

    @functools.wraps(made)
    def get_command_line(**words: Any) -> list[str]:
        line = made(**words)
        if "-c" in line:
            at = line.index("-c") + 1
            line[at] = f"from graphlab.fix.trial import spawned; spawned({job!r}); {line[at]}"
        return line

    multiprocessing.spawn.get_command_line = get_command_line


def _serve_opened(edited: Any) -> None:
    opened, opened_code, opened_lines = builtins.open, io.open_code, tokenize.open

    @functools.wraps(opened)
    def open_(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
        data = edited(file) if isinstance(mode, str) and not set(mode) & set("wax+") else None
        if data is None:
            return opened(file, mode, *args, **named)
        if "b" in mode:
            return io.BytesIO(data)
        words = dict(zip(("buffering", "encoding", "errors", "newline"), args, strict=False))
        words = {**words, **named}
        kept = {key: words[key] for key in ("encoding", "errors", "newline") if key in words}
        return io.TextIOWrapper(io.BytesIO(data), **kept)

    @functools.wraps(opened_code)
    def open_code(path: Any) -> Any:
        data = edited(path)
        return opened_code(path) if data is None else io.BytesIO(data)

    @functools.wraps(opened_lines)
    def open_lines(filename: Any) -> Any:
        data = edited(filename)
        if data is None:
            return opened_lines(filename)
        buffer = io.BytesIO(data)
        encoding, _ = tokenize.detect_encoding(buffer.readline)
        buffer.seek(0)
        return io.TextIOWrapper(buffer, encoding, line_buffering=True)

    builtins.open = io.open = open_
    io.open_code = open_code
    # What importlib has bound.
    _io.open_code = open_code  # pyright: ignore[reportAttributeAccessIssue]
    tokenize.open = open_lines


def _serve_imported(edited: Any) -> None:
    stats = importlib.machinery.SourceFileLoader.path_stats

    @functools.wraps(stats)
    def path_stats(self: Any, path: str) -> Any:
        if edited(path) is not None:
            # Importlib then looks for no bytecode of the file, and writes none.
            raise OSError(f"{path} is edited for this trial")
        return stats(self, path)

    importlib.machinery.SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]
