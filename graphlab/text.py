"""Words for messages, and text of the user's made safe to print.

A name or a line of source may hold what a terminal obeys instead of showing: an escape that moves
the cursor or sets the window's title, an override that turns the order of letters around. Here it
becomes the escape that Python would write for it. One letter at a time, so that what is said of a
part of a text holds for the whole of it.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

# C0 and C1 controls but tab and newline; the marks, embeddings, overrides and isolates of text that
# runs both ways; what some tools take for the end of a line; what no encoding and no XML can hold.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)


TAB = 4


def visible(text: str) -> str:
    """`text` with a Python escape in the place of each such letter; lines and tabs stay."""
    return _UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    """The same in one line: of a name or a line of source, which has no business with more."""
    return visible(text.replace("\t", " " * TAB)).replace("\n", "\\n")


def everywhere(value: Any) -> Any:
    """JSON values with all their texts made visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list | tuple):
        return [everywhere(each) for each in value]
    if isinstance(value, dict):
        return {everywhere(key): everywhere(each) for key, each in value.items()}
    return value


def lines_of(source: str) -> list[str]:
    """The lines of a source as Python counts them: a form feed or a separator ends none."""
    found = source.split("\n")
    return found if found[-1] else found[:-1]


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def suggestion(name: str, known: list[str], otherwise: str = "graphlab list shows all") -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"did you mean {near[0]}? {otherwise}" if near else otherwise


def listing(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def plural(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
