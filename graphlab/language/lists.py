"""Names in a sentence: one after the other, or the nearest to one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from graphlab.language import message


def listing(names: Sequence[str], most: int | None = None) -> str:
    """``a``, ``a and b``, ``a, b and c``; with more than `most` names, ``a, b and 3 more``."""
    if most is not None and len(names) > most:
        rest = len(names) - most + 1
        return message("words.names_more", names=list(names[: most - 1]), count=rest)
    if len(names) > 1:
        return message("words.names", names=list(names))
    return names[0] if names else ""


def first_of(names: Sequence[str]) -> str:
    """``a``, or ``a and 2 more``."""
    if len(names) == 1:
        return names[0]
    return message("words.names_more", names=[names[0]], count=len(names) - 1)


def suggestion(name: str, known: list[str], otherwise: str = "") -> str:
    """The hint for an unknown `name`: the nearest of the `known` ones, if any, and `otherwise`,
    which is else that ``graphlab list`` shows all."""
    otherwise = otherwise or message("usage.help.list")
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return message("usage.help.near", near=near[0], otherwise=otherwise) if near else otherwise
