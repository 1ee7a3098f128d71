"""Words for messages: lists of names, counts with their noun, the nearest known name."""

from __future__ import annotations

import difflib


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
