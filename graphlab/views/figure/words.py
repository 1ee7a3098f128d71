"""Text helpers of the figures: shapes, line numbers, shortened names, and the width of a text."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from graphlab.language import current, say_in
from graphlab.text import one_line
from graphlab.trace.model import Location

# Widths in em of DejaVu Sans, a wide font: a text that fits in it fits in other sans-serifs.
_NARROW = dict.fromkeys("iIl|!.,:;'`jft()[]{}/\\ -", 0.42)
_WIDE = dict.fromkeys("mMwW@%&—→", 1.0)


@lru_cache(maxsize=4096)
def clean(text: str, limit: int = 0) -> str:
    """`text` in one line, control characters made visible, shortened in the middle to `limit`
    characters if `limit` is not 0."""
    if not text.isprintable():
        text = one_line(text.replace("\r\n", "⏎").replace("\n", "⏎"))
    if limit and len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[: limit - 1 - half]}…{text[-half:]}"
    return text


@lru_cache(maxsize=4096)
def width(text: str, size: float) -> float:
    """An upper bound of the text's width at font size `size`, in the same unit."""
    total = 0.0
    for letter in text:
        total += _em(letter)
    return total * size


@lru_cache(maxsize=4096)
def _em(letter: str) -> float:
    known = _NARROW.get(letter) or _WIDE.get(letter)
    if known is not None:
        return known
    if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0x2000:
        return 1.05
    return 0.78 if letter.isupper() else 0.66


def dims(shape: tuple[int, ...] | None) -> str:
    """A shape as text, such as ``64 × 1``, or ``scalar``."""
    return " × ".join(str(each) for each in shape) if shape else "scalar"


@lru_cache(maxsize=4096)
def sizes(shape: tuple[int, ...]) -> str:
    """A shape as Python writes it: ``[64, 1]``."""
    return str(list(shape))


@lru_cache(maxsize=4096)
def tip(text: str) -> str:
    """A part of a tooltip as DOT writes it."""
    return "\\n".join(escaped(clean(line)) for line in text.split("\n"))


def escaped(text: str) -> str:
    """`text` for a quoted DOT string, so that its own backslashes and entities are shown as they
    are."""
    if not text.isprintable():
        text = one_line(text)
    return text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"')


def where(at: Location | None) -> str:
    """``line 38``; empty without a location."""
    return _line(current(), at.line) if at is not None else ""


@lru_cache(maxsize=4096)
def _line(language: str, number: int) -> str:
    return say_in(language, "figure.line", number=number)


def placed(what: str, place: Location | None) -> str:
    """`what` with its line, such as ``step(), line 38``."""
    return f"{what}, {where(place)}" if place is not None else what
