"""What a statement gives a value to, and from which expression."""

from __future__ import annotations

import ast

import pytest

from graphlab.source.effects.assignments import (
    assigned_value,
    call_or_source,
    is_guard,
    is_integer,
    scope_of,
    stored_names,
)
from tests.source.written import expression, statement


@pytest.mark.parametrize(
    ("line", "names", "value"),
    [
        ("x = f(y)", {"x"}, "f(y)"),
        ("x = y = z", {"x", "y"}, "z"),
        ("a, (b, c) = f()", {"a", "(b, c)"}, "f()"),
        ("x: int = 1", {"x"}, "1"),
        ("x: int", {"x"}, None),
        ("x += y", {"x"}, "y"),
        ("self.h[0] = y", {"self.h[0]"}, "y"),
        ("losses.append(loss)", {"losses"}, "loss"),
        ("losses.insert(0, loss)", {"losses"}, "loss"),
        ("losses.extend()", {"losses"}, None),
        ("losses.sort()", set(), None),
        ("f(x)", set(), "x"),
        ("return x", set(), "x"),
        ("pass", set(), None),
    ],
)
def test_a_statement(line: str, names: set[str], value: str | None) -> None:
    node = statement(line)
    assert stored_names(node) == names
    source = assigned_value(node)
    assert (source and ast.unparse(source)) == value


@pytest.mark.parametrize(
    ("source", "guard"),
    [("torch.no_grad()", True), ("no_grad", True), ("torch.inference_mode(mode=True)", True),
     ("torch.set_grad_enabled(False)", True), ("no_grad() if frozen else nullcontext()", True),
     ("nullcontext()", False), ("torch.enable_grad()", False), ("autocast('cpu')", False)],
)  # fmt: skip
def test_guards(source: str, guard: bool) -> None:
    assert is_guard(expression(source)) is guard


@pytest.mark.parametrize(
    ("source", "words"),
    [("x.detach()", "x.detach()"), ("x.argmax(dim=1)", "x.argmax()"), ("x.to(y)", "x.to(y)"),
     ("x.type(torch.long)", "x.type(torch.long)"), ("x + y", "x + y"), ("f(x)", "f()")],
)  # fmt: skip
def test_a_call_is_named_without_its_arguments(source: str, words: str) -> None:
    assert call_or_source(expression(source)) == words


@pytest.mark.parametrize(
    ("source", "integer"),
    [("torch.long", True), ("int", True), ("torch.float32", False), ("x.dtype", False)],
)
def test_integer_types(source: str, integer: bool) -> None:
    assert is_integer(expression(source)) is integer


def test_the_function_that_code_was_made_from() -> None:
    tree = ast.parse("def f():\n    pass\n\n@one\n@two\nclass C:\n    @three\n    def f(self): 1\n")
    first = scope_of(tree, 1, "f")
    assert isinstance(first, ast.FunctionDef) and first.lineno == 1
    # Code counts from the first decorator.
    second = scope_of(tree, 7, "f")
    assert isinstance(second, ast.FunctionDef) and second.lineno == 8
    assert scope_of(tree, 3, "f") is tree and scope_of(tree, 1, "<module>") is tree
    assert scope_of(None, 1, "f") is None
