"""Text helpers: control characters made visible, lists and plurals in words, near misses of names.

A name or a line of the user's source may hold characters that a terminal obeys instead of showing:
an escape sequence that moves the cursor, or a mark that reverses the reading direction. `visible`
replaces each such character, on its own, by the escape that Python would write for it. So the
result for a text is that of its parts joined, and positions can be mapped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# C0 and C1 controls except tab and newline; marks, embeddings, overrides and isolates of
# bidirectional text; what some tools take for a line end; what UTF-8 or XML cannot hold.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)

# How many blanks a tab becomes in one line.
TAB = 4


def visible(text: str) -> str:
    """`text` with unsafe characters as Python escapes; newlines and tabs stay."""
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    """As `visible`, in one line: tabs become blanks, and newlines the two characters ``\\n``."""
    return visible(text.replace("\t", " " * TAB)).replace("\n", "\\n")


def visible_values(value: Any) -> Any:
    """JSON values with `visible` applied to every string in them, keys included."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list | tuple):
        return [visible_values(each) for each in value]
    if isinstance(value, dict):
        return {visible_values(key): visible_values(each) for key, each in value.items()}
    return value


def lines_of(source: str) -> list[str]:
    """The lines of a source as Python counts them: only ``\\n`` ends one, unlike `splitlines`."""
    found = source.split("\n")
    return found if found[-1] else found[:-1]


def lines_with_ends(source: str) -> list[str]:
    """The same, each with the ``\\n`` that ends it."""
    return re.findall(r"[^\n]*\n|[^\n]+", source)


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def listing(names: Sequence[str], most: int | None = None) -> str:
    """``a``, ``a and b``, ``a, b and c``; with more than `most` names, ``a, b and 3 more``."""
    if most is not None and len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural(count: int, word: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{count} {word}" + ("" if count == 1 else "s")
