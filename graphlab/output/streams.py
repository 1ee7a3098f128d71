"""Streams for results and notices that stay open whatever a program does to `sys.stdout`."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from rich.cells import cell_len

from graphlab.text import one_line

# A replacement of the same width for characters that a stream cannot encode, to keep columns.
_STAND_INS = dict(zip("✓✗■│┃▌─━→…×−–—·⋮±①②③⏎␣≤░█•", "+x#|||-=>~x---.:~123$_<.#*", strict=True))
_HANDLER = "graphlab"


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(each, "?" * cell_len(each)) for each in missing), error.end


codecs.register_error(_HANDLER, _stand_in)


def fitted(text: str, stream: Any) -> str:
    """`text` with the characters replaced that `stream` cannot encode."""
    encoding = getattr(stream, "encoding", None)
    if not isinstance(encoding, str):
        return text
    try:
        return text.encode(encoding, _HANDLER).decode(encoding)
    except (LookupError, UnicodeError):
        return text


class _Shared(io.TextIOBase):
    """A stream that may share its file descriptor or have none: pytest's, a notebook's, a
    StringIO."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        encoding = getattr(self._stream, "encoding", None)
        return encoding if isinstance(encoding, str) else "utf-8"

    def write(self, text: str, /) -> int:
        self._stream.write(fitted(text, self._stream))
        return len(text)

    def flush(self) -> None:
        # Some streams have no flush.
        flush = getattr(self._stream, "flush", None)
        if flush is not None:
            flush()

    def isatty(self) -> bool:
        isatty = getattr(self._stream, "isatty", None)
        return bool(isatty()) if isatty is not None else False

    def close(self) -> None:
        """The stream belongs to somebody else and stays open."""

    @property
    def buffer(self) -> Any:
        return getattr(self._stream, "buffer", None)


def own(stream: Any) -> TextIO:
    """A stream to the same place as `stream`, which works on after that one is closed or replaced.
    Where `stream` is None, output is dropped, as by `print`."""
    if stream is None:
        return io.StringIO()
    if stream is sys.__stdout__ or stream is sys.__stderr__:
        with contextlib.suppress(OSError, ValueError):
            copy = os.dup(stream.fileno())
            return open(copy, "w", encoding=stream.encoding, errors=_HANDLER)
    return _Shared(stream)  # pyright: ignore[reportReturnType]


_held: list[TextIO] = []


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Inside the block, `out` and `err` lead to where stdout and stderr led on entering it."""
    global _held
    kept, _held = _held, [own(sys.stdout), own(sys.stderr)]
    try:
        yield
    finally:
        for each in _held:
            # A failed write was reported when it happened; a closed pipe does not matter.
            with contextlib.suppress(OSError, ValueError):
                each.close()
        _held = kept


def out() -> TextIO:
    """The stream for results."""
    return _held[0] if _held else own_now(sys.stdout)


def err() -> TextIO:
    """The stream for progress and notices."""
    return _held[1] if _held else own_now(sys.stderr)


def own_now(stream: Any) -> TextIO:
    """`stream` itself, with characters replaced that it cannot encode."""
    return io.StringIO() if stream is None else _Shared(stream)  # pyright: ignore[reportReturnType]


def document(text: str | bytes) -> None:
    """Write a whole document to stdout, as bytes where it takes bytes."""
    stream = out()
    data = text.encode() if isinstance(text, str) else text
    buffer = getattr(stream, "buffer", None)
    stream.flush()
    if buffer is None:
        stream.write(data.decode(errors="replace"))
    else:
        buffer.write(data)
        buffer.flush()
    stream.flush()


def line(text: str, stream: TextIO) -> None:
    """Write one line and flush. Control characters and line breaks are escaped."""
    stream.write(f"{one_line(text)}\n")
    stream.flush()
