"""Source given as a string, as if it stood in a file: linecache has it, the disk does not."""

from __future__ import annotations

import ast
import itertools
import linecache

from graphlab.trace.model import Location

_numbers = itertools.count()


def written(source: str) -> str:
    """The name of a file of its own with that source."""
    name = f"/nowhere/script{next(_numbers)}.py"
    # No time of change: linecache never asks the disk for it.
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return name


def at(file: str, part: str, line: int = 1) -> Location:
    """The place of `part` in a line of a file."""
    text = linecache.getline(file, line).rstrip("\n")
    start = text.index(part) + 1
    indent = len(text) - len(text.lstrip())
    end = start + len(part)
    return Location(file, line, start, line, end, "<module>", text.strip(), indent)


def expression(source: str) -> ast.expr:
    return ast.parse(source, mode="eval").body


def statement(source: str) -> ast.stmt:
    (only,) = ast.parse(source).body
    return only
