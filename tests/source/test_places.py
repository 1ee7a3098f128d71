"""Places in the user's files: of an instruction, of a node, of a line."""

from __future__ import annotations

import ast
import dis
from dataclasses import replace
from typing import Any

import pytest

from graphlab.source.places import line_place, locate, parse, place, source_line, statement_at
from tests.source.written import written


def code_of(file: str) -> Any:
    """The code of the one function in a file."""
    space: dict[str, Any] = {}
    tree = parse(file)
    assert tree is not None
    exec(compile(tree, file, "exec"), space)
    (function,) = [each for name, each in space.items() if name != "__builtins__"]
    return function.__code__


def offset_of(code: Any, operation: str) -> int:
    return next(each.offset for each in dis.get_instructions(code) if each.opname == operation)


def test_like_functions_of_two_files_keep_their_own_file() -> None:
    files = [written("def f(x):\n    return x + 1\n") for _ in range(2)]
    assert [locate(code_of(file), 0).file for file in files] == files


def test_an_instruction_has_the_columns_of_its_expression() -> None:
    file = written("def f(größe, y):\n    z = größe + y * 2; y = z\n    return z\n")
    code = code_of(file)
    at = locate(code, offset_of(code, "BINARY_OP"))
    line = source_line(file, 2)
    # Columns count characters from 1; the end is the one behind.
    assert line[at.column - 1 : at.end_column - 1] == "y * 2"
    assert (at.line, at.end_line, at.indent, at.function) == (2, 2, 4, "f")
    assert at.code == "z = größe + y * 2; y = z"


def test_about_an_instruction_the_whole_line_is_meant() -> None:
    file = written("def f(x):\n    return x + 1  # more\n")
    code = code_of(file)
    at = locate(code, ~offset_of(code, "BINARY_OP"))
    assert source_line(file, 2)[at.column - 1 : at.end_column - 1] == "return x + 1"


def test_an_expression_of_several_lines_ends_with_its_first() -> None:
    file = written("def f(x):\n    return (x\n            + 1)\n")
    code = code_of(file)
    at = locate(code, offset_of(code, "BINARY_OP"))
    assert (at.line, at.end_line) == (2, 2)
    assert source_line(file, 2)[at.column - 1 : at.end_column - 1] == "x"


def test_without_its_source_an_instruction_has_a_line() -> None:
    code = compile("def f(x):\n    return x + 1\n", "/nowhere/gone.py", "exec").co_consts[0]
    at = locate(code, 0)
    assert (at.file, at.line, at.code) == ("/nowhere/gone.py", 1, "")


@pytest.mark.parametrize(
    ("source", "part"),
    [("x = f(1)", "f(1)"), ("变量 = f(größe)", "f(größe)"), ("if x:\n    y = f(2)", "f(2)")],
)
def test_the_place_of_a_node(source: str, part: str) -> None:
    file = written(source + "\n")
    tree = parse(file)
    assert tree is not None
    (call,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    at = place(call, file, "g")
    text = source_line(file, at.line)
    assert text[at.column - 1 : at.end_column - 1] == part
    assert (at.code, at.function) == (text.strip(), "g")
    assert place(call, "/nowhere/gone.py", "g", source) == replace(at, file="/nowhere/gone.py")


def test_the_place_of_a_line() -> None:
    file = written("if x:\n    y = 1\n")
    at = line_place(file, 2)
    assert (at.column, at.end_column, at.indent, at.code) == (5, 10, 4, "y = 1")
    beyond = line_place(file, 9)
    assert (beyond.column, beyond.end_column, beyond.code) == (1, 1, "")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (1, "for x in y:\n    a = f(\n        x,\n    )\n    if a:\n        b = 1"),
        (2, "a = f(x)"),
        (3, "a = f(x)"),
        (4, "a = f(x)"),
        (6, "b = 1"),
        (7, None),
    ],
)
def test_the_innermost_statement_at_a_line(line: int, text: str | None) -> None:
    file = written("for x in y:\n    a = f(\n        x,\n    )\n    if a:\n        b = 1\n")
    node = statement_at(file, line)
    wanted = text and ast.unparse(ast.parse(text))
    assert (node and ast.unparse(node)) == wanted


@pytest.mark.parametrize("source", ["def f(:", "\x00", ""])
def test_what_cannot_be_read_has_no_statements(source: str) -> None:
    assert statement_at(written(source), 1) is None
