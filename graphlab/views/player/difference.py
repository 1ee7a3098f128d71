"""Two runs' programs as a diff, without the docstrings at their top: those are about the loops."""

from __future__ import annotations

import ast
import difflib
from collections import Counter

from graphlab.trace.film import Film
from graphlab.views.visible import lines_of

# Lines kept around each change.
AROUND = 2


def difference(one: Film, other: Film) -> list[list[str]]:
    """(sign, line) from the program of `one` to that of `other`; ⋮ stands where lines are left
    out. Empty where the programs are the same."""
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
    """The file in which most of the film plays."""
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
