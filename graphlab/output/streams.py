"""Streams of our own: where results and notices go, whatever a program does to `sys.stdout`."""

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

# In the place of a character that a stream lacks, one as wide, so that columns and carets stay.
_STAND_INS = dict(zip("✓✗■│┃▌─━→…×−–—·⋮±①②③⏎␣≤░█•", "+x#|||-=>~x---.:~123$_<.#*", strict=True))
_HANDLER = "graphlab"


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(each, "?" * cell_len(each)) for each in missing), error.end


codecs.register_error(_HANDLER, _stand_in)


def fitted(text: str, stream: Any) -> str:
    """`text` in characters that `stream` has; a stream that names no encoding has them all."""
    encoding = getattr(stream, "encoding", None)
    if not isinstance(encoding, str):
        return text
    try:
        return text.encode(encoding, _HANDLER).decode(encoding)
    except (LookupError, UnicodeError):
        return text


class _Shared(io.TextIOBase):
    """Someone's stream without a descriptor that is surely its own: pytest's, a notebook's, a
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
        # A stream that can only write is a stream too.
        flush = getattr(self._stream, "flush", None)
        if flush is not None:
            flush()

    def isatty(self) -> bool:
        isatty = getattr(self._stream, "isatty", None)
        return bool(isatty()) if isatty is not None else False

    def close(self) -> None:
        """It is not ours to close."""

    @property
    def buffer(self) -> Any:
        return getattr(self._stream, "buffer", None)


def own(stream: Any) -> TextIO:
    """A stream that goes on leading to where `stream` leads now, when that one is closed, lost or
    replaced. Where there is none, what is written to it is lost, as with `print`."""
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
    """Keep the streams of this moment until the block is left."""
    global _held
    kept, _held = _held, [own(sys.stdout), own(sys.stderr)]
    try:
        yield
    finally:
        for each in _held:
            # What could not be written by now has been told or does not matter: a reader that left.
            with contextlib.suppress(OSError, ValueError):
                each.close()
        _held = kept


def out() -> TextIO:
    """For results."""
    return _held[0] if _held else own_now(sys.stdout)


def err() -> TextIO:
    """For progress and notices."""
    return _held[1] if _held else own_now(sys.stderr)


def own_now(stream: Any) -> TextIO:
    """`stream` itself, for what is written at once: only its missing characters are seen to."""
    return io.StringIO() if stream is None else _Shared(stream)  # pyright: ignore[reportReturnType]


def document(text: str | bytes) -> None:
    """Write a whole document to stdout: the bytes that a file would hold, if it takes bytes."""
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
    """One line, at once. Characters that would act on a terminal or break the line are escaped."""
    stream.write(f"{one_line(text)}\n")
    stream.flush()
