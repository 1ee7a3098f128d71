"""What a script's comments to graphlab change on the page: notes, questions, and lines left out."""

from __future__ import annotations

import ast
from typing import Any

from graphlab.source.remarks import remarks
from graphlab.views.player.timeline import Timeline


class Comments:
    """The remarks in the sources of a timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._of = {name: remarks(source) for name, source in timeline.film.sources.items()}

    def notes(self, at: int) -> list[str]:
        """The notes on the lines that a step plays."""
        return [text for _, text in self._at(at, "note")]

    def questions(self) -> list[dict[str, Any]]:
        """The questions that scripts ask, in the form of the quiz's, with no options. Each is asked
        once, before the first step that plays its line."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for step, moment in enumerate(self._timeline.film.moments):
            for at, text in self._at(step, "ask"):
                question = {"step": step, "text": text, "options": [], "answer": [], "proof": []}
                found.setdefault((moment.at.file, at), question)
        return list(found.values())

    def _at(self, step: int, kind: str) -> list[tuple[int, str]]:
        here = self._timeline.film.moments[step].at
        return [
            (each.at, each.text)
            for each in self._of[here.file]
            if each.kind == kind and each.text and here.line <= each.line <= here.end_line
        ]

    def hidden(self, file: str) -> list[int]:
        """The lines of the statements that `hide` leaves out, with all that is inside them."""
        found = {each.line for each in self._of[file] if each.kind == "hide"}
        asked = frozenset(found)
        for node in _statements(self._timeline.film.sources[file]) if asked else ():
            if not asked.isdisjoint(_head(node)):
                found.update(range(_first(node), (node.end_lineno or node.lineno) + 1))
        return sorted(found)

    def own_lines(self, file: str) -> list[int]:
        """The lines that hold a remark and no code: they are addressed to the page."""
        lines = self._timeline.lines[file]
        found = {each.at for each in self._of[file]}
        return sorted(at for at in found if lines[at - 1].lstrip().startswith("#"))


def _statements(source: str) -> list[ast.stmt]:
    try:
        return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _first(node: ast.stmt) -> int:
    """The line at which a statement begins, its decorators with it."""
    return min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])


def _head(node: ast.stmt) -> range:
    """The lines of a statement up to its block, if it has one."""
    first, body = _first(node), getattr(node, "body", None)
    last = max(_first(body[0]) - 1, first) if body else node.end_lineno or node.lineno
    return range(first, last + 1)
