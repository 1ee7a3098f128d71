"""The small words of a figure: shapes, lines, counts, and how wide a text is at most."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from graphlab.text import one_line
from graphlab.trace.model import Location

# Widths in em of a wide sans-serif (DejaVu Sans): what fits by these fits in any other.
_NARROW = dict.fromkeys("iIl|!.,:;'`jft()[]{}/\\ -", 0.42)


_WIDE = dict.fromkeys("mMwW@%&—→", 1.0)


@lru_cache(maxsize=4096)
def clean(text: str, limit: int = 0) -> str:
    """`text` in one line that XML and a terminal can show, shortened in its middle to `limit`."""
    text = one_line(text.replace("\r\n", "⏎").replace("\n", "⏎"))
    if limit and len(text) > limit:
        half = (limit - 1) // 2
        text = f"{text[: limit - 1 - half]}…{text[-half:]}"
    return text


@lru_cache(maxsize=4096)
def width(text: str, size: float) -> float:
    """An upper bound of the text's width, in the unit of `size`."""
    total = 0.0
    for letter in text:
        known = _NARROW.get(letter) or _WIDE.get(letter)
        if known is not None:
            total += known
        elif unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0x2000:
            total += 1.05
        else:
            total += 0.78 if letter.isupper() else 0.66
    return total * size


def dims(shape: tuple[int, ...] | None) -> str:
    """``64 × 1``; a scalar has none."""
    return " × ".join(str(each) for each in shape) if shape else "scalar"


def where(at: Location | None) -> str:
    return f"line {at.line}" if at is not None else ""
