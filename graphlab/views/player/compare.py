"""Compares two runs: the difference of their programs, and which of their steps go together."""

from __future__ import annotations

import ast
import difflib
from collections import Counter

from graphlab.text import lines_of
from graphlab.trace.film import Film

# Lines of context around each change.
AROUND = 2


def difference(one: Film, other: Film) -> list[list[str]]:
    """The diff (sign, line) from the program of `one` to that of `other`; the sign ``⋮`` marks
    lines left out. Empty if the programs are the same."""
    found: list[list[str]] = []
    for line in difflib.unified_diff(_lines(one), _lines(other), n=AROUND, lineterm=""):
        if line.startswith("@@"):
            if found:
                found.append(["⋮", ""])
        elif not line.startswith(("---", "+++")):
            found.append([line[:1], line[1:]])
    indents = [len(text) - len(text.lstrip()) for _, text in found if text.strip()]
    return [[sign, text[min(indents, default=0) :]] for sign, text in found]


def _lines(film: Film) -> list[str]:
    """The lines of the file with most of the film's moments."""
    played = Counter(moment.at.file for moment in film.moments)
    text = film.sources.get(played.most_common(1)[0][0], "") if played else ""
    lines = lines_of(text)
    try:
        first = next(iter(ast.parse(text).body), None)
    except (SyntaxError, ValueError):
        return lines
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return lines[first.end_lineno :]
    return lines


def pairs(one: Film, other: Film) -> list[tuple[int | None, int | None]]:
    """The steps of both runs side by side: those of equal lines together, in the order of either;
    None where a line ran in one of them only."""
    codes = [[moment.at.code for moment in film.moments] for film in (one, other)]
    found: list[tuple[int | None, int | None]] = []
    matcher = difflib.SequenceMatcher(None, *codes, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            found += zip(range(a, b), range(c, d), strict=True)
            continue
        # A line that was changed stands beside what it became.
        together = min(b - a, d - c) if kind == "replace" else 0
        found += zip(range(a, a + together), range(c, c + together), strict=True)
        found += [(at, None) for at in range(a + together, b)]
        found += [(None, at) for at in range(c + together, d)]
    return found
