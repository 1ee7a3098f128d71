"""Locates instructions and syntax nodes in the user's source, and caches the files' trees."""

from __future__ import annotations

import ast
import linecache
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from graphlab.trace.model import Location


@lru_cache(maxsize=4096)
def _positions(code: CodeType) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


def parse(filename: str) -> ast.Module | None:
    """The syntax tree of a file as linecache has it; None if it cannot be read or parsed."""
    try:
        return _parsed(filename)
    except (RecursionError, MemoryError):
        # It is nested too deep, or the program is: then it can be parsed later.
        return None


@lru_cache(maxsize=256)
def _parsed(filename: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(filename)))
    except (SyntaxError, ValueError):
        return None


@lru_cache(maxsize=1024)
def nodes_of(tree: ast.AST | None) -> tuple[ast.AST, ...]:
    """What `ast.walk` yields, for trees of `parse` and parts of them, which are walked often."""
    return tuple(ast.walk(tree)) if tree is not None else ()


@lru_cache(maxsize=64)
def nodes_in(source: str) -> tuple[ast.AST, ...]:
    """What `ast.walk` yields for a text, its module first; nothing if it does not parse."""
    try:
        return tuple(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):
        return ()


@lru_cache(maxsize=4096)
def kinds_of(tree: ast.AST | None, *kinds: type[ast.AST]) -> tuple[Any, ...]:
    """Those of these kinds among `nodes_of`, in the same order: of a file of thousands of lines,
    whose few `with` blocks are asked for again and again."""
    return tuple(each for each in nodes_of(tree) if isinstance(each, kinds))


def expression_of(code: CodeType, offset: int) -> ast.expr | None:
    """The expression that a bytecode offset belongs to, over however many lines it is written."""
    positions = _positions(code)
    there = positions[offset // 2] if 0 <= offset // 2 < len(positions) else None
    for node in nodes_of(parse(code.co_filename)) if there is not None else ():
        if isinstance(node, ast.expr) and there == (
            node.lineno, node.end_lineno, node.col_offset, node.end_col_offset,
        ):  # fmt: skip
            return node
    return None


def line_of(code: CodeType, offset: int) -> int | None:
    """The line that the instruction at a bytecode offset is of."""
    positions = _positions(code)
    return positions[offset // 2][0] if 0 <= offset // 2 < len(positions) else None


def source_line(filename: str, line: int) -> str:
    """A line of a file, counted from 1, without its newline; "" if there is none."""
    return linecache.getline(filename, line).rstrip("\n")


def locate(code: CodeType, offset: int) -> Location:
    """The location of a bytecode offset. For a negative offset, ``~offset``, it is the whole line
    of the statement that the instruction belongs to."""
    return _locate(code, offset, code.co_filename)


@lru_cache(maxsize=65536)
def _locate(code: CodeType, offset: int, filename: str) -> Location:
    # Code objects of identical functions in two files are equal: the key needs the file's name.
    exact = offset >= 0
    positions = _positions(code)
    index = (offset if exact else ~offset) // 2
    line, end, column, end_column = (
        positions[index] if index < len(positions) else (None, None, None, None)
    )
    if line is None:
        line = code.co_firstlineno
    text = source_line(filename, line)
    indent = len(text) - len(text.lstrip())
    if exact and column is not None and end is not None and end_column is not None:
        column = _characters(text, column)
        end_column = _characters(source_line(filename, end), end_column)
        if end != line:
            end, end_column = line, len(text)
    else:
        column, end, end_column = indent, line, len(text.split("  #")[0].rstrip())
    return Location(
        file=filename,
        line=line,
        column=column + 1,
        end_line=end,
        end_column=max(end_column, column) + 1,
        function=code.co_qualname,
        code=text.strip(),
        indent=indent,
    )


@lru_cache(maxsize=4096)
def statement_at(filename: str, line: int) -> ast.stmt | None:
    """The innermost simple statement that covers `line`."""
    tree = parse(filename)
    found: ast.stmt | None = None
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.stmt):
            continue
        inside = node.lineno <= line <= (node.end_lineno or line)
        if inside and (found is None or node.lineno >= found.lineno):
            found = node
    return found


def beside(filename: str, line: int) -> list[ast.stmt]:
    """The statements of the innermost block that the simple one at `line` stands in."""
    statement = statement_at(filename, line)
    for node in nodes_of(parse(filename)) if statement is not None else ():
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and any(each is statement for each in block):
                return block
    return []


def place(node: ast.AST, file: str, function: str = "", source: str | None = None) -> Location:
    """The location of a syntax node; its columns end with its first line. `source` is the file's
    text, where that is not to be asked of the disk."""
    line = getattr(node, "lineno", 1)
    text = _line_of(file, line, source)
    start = _characters(text, getattr(node, "col_offset", 0))
    end = len(text)
    if getattr(node, "end_lineno", line) == line:
        end = _characters(text, getattr(node, "end_col_offset", end) or end)
    return _in_line(file, line, function, text, start, end)


def line_place(file: str, line: int, function: str = "", source: str | None = None) -> Location:
    """The location of the whole line, without its indent; `source` as for `place`."""
    text = _line_of(file, line, source)
    return _in_line(file, line, function, text, len(text) - len(text.lstrip()), len(text.rstrip()))


def _line_of(file: str, line: int, source: str | None) -> str:
    if source is None:
        return source_line(file, line)
    # Not `splitlines`: to Python a form feed ends no line.
    return source.split("\n")[line - 1].rstrip("\r")


def _in_line(file: str, line: int, function: str, text: str, start: int, end: int) -> Location:
    indent = len(text) - len(text.lstrip())
    return Location(file, line, start + 1, line, end + 1, function, text.strip(), indent)


def _characters(text: str, offset: int) -> int:
    """The column in characters, as editors count; co_positions and syntax trees count bytes."""
    return len(text.encode()[:offset].decode(errors="ignore"))


class _HashedSpot(tuple[CodeType, int]):
    """A spot that knows its hash: that of a code object is computed anew each time from all of its
    constants, which takes microseconds where a loop stands in a long script."""

    _hash: int

    def __hash__(self) -> int:
        return self._hash


def hashed(code: CodeType, offset: int) -> tuple[CodeType, int]:
    """The pair, which may well be looked up often."""
    made = _HashedSpot((code, offset))
    made._hash = tuple.__hash__(made)
    return made


class Spots:
    """The spot of a frame, each made once."""

    def __init__(self) -> None:
        # By the identity of the code, which the spot keeps alive.
        self._known: dict[tuple[int, int], tuple[CodeType, int]] = {}

    def of(self, frame: FrameType | None) -> tuple[CodeType, int] | None:
        """Where `frame` is; None for None."""
        if frame is None:
            return None
        code, offset = frame.f_code, frame.f_lasti
        found = self._known.get((id(code), offset))
        if found is None:
            found = self._known[id(code), offset] = hashed(code, offset)
        return found
