"""Finds the conditions by which a line may be passed over."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.source.places import line_place
from graphlab.trace.finding import Place
from graphlab.trace.model import Location, Trace

_Scope = ast.For | ast.AsyncFor | ast.While | ast.FunctionDef | ast.AsyncFunctionDef
_Leaves = ast.Continue | ast.Break | ast.Return


def fork(trace: Trace, at: Location | None) -> Place | None:
    """The innermost ``if`` around a line, or else the only one before it that leaves the loop's
    body, or the function."""
    around = [node for node in _ifs(trace, at) if at is not None and _holds(node, at.line)]
    if at is None or not around:
        return diversion(trace, at)
    return _place(trace, at, max(around, key=lambda node: node.lineno))


def diversion(trace: Trace, at: Location | None) -> Place | None:
    """The only ``if``, or ``except``, before a line that leaves the body of the loop, or the
    function, which that line stands in; none where the line is under a condition itself."""
    scope = _scope(trace, at)
    if at is None or scope is None:
        return None
    own = [*_own(scope)]
    if any(isinstance(node, ast.If) and _holds(node, at.line) for node in own):
        return None
    found = [
        node
        for node in own
        if isinstance(node, ast.If | ast.ExceptHandler)
        and (node.end_lineno or 0) < at.line
        and any(isinstance(each, _Leaves) for each in _own(node))
    ]
    return _place(trace, at, found[0]) if len(found) == 1 else None


def way_out(trace: Trace, at: Location | None, sure: bool = True) -> Place | None:
    """The only ``if`` that ends the loop at a line, where nothing else does: it has no condition,
    or goes through a range that every rank has. Without being `sure`: of any loop."""
    tree = _tree(trace, at)
    loops = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.For | ast.While) and at is not None and node.lineno == at.line
    ]
    if at is None or not loops or (sure and not _goes_on(loops[0])):
        return None
    found = [
        node
        for node in _own(loops[0])
        if isinstance(node, ast.If)
        and any(isinstance(each, ast.Break | ast.Return) for each in _own(node))
    ]
    return _place(trace, at, found[0]) if len(found) == 1 else None


def _goes_on(loop: ast.For | ast.While) -> bool:
    if isinstance(loop, ast.While):
        return isinstance(loop.test, ast.Constant)
    call = loop.iter
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "range"
        and all(isinstance(each, ast.Constant | ast.Name) for each in call.args)
    )


def _tree(trace: Trace, at: Location | None) -> ast.Module | None:
    try:
        return ast.parse(trace.sources.get(at.file, "")) if at is not None else None
    except SyntaxError:
        return None


def _ifs(trace: Trace, at: Location | None) -> list[ast.If]:
    tree = _tree(trace, at)
    return [node for node in ast.walk(tree) if isinstance(node, ast.If)] if tree else []


def _scope(trace: Trace, at: Location | None) -> ast.stmt | None:
    """The innermost loop or function around a line."""
    tree = _tree(trace, at)
    found = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, _Scope) and at is not None and _holds(node, at.line)
    ]
    return max(found, key=lambda node: node.lineno, default=None)


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What is inside of a node, but for the bodies of loops and functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _Scope):
            yield child
            yield from _own(child)


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or 0)


def _place(trace: Trace, at: Location, node: ast.If | ast.ExceptHandler) -> Place:
    if isinstance(node, ast.ExceptHandler):
        line, text = node.lineno, f"except {ast.unparse(node.type)}" if node.type else "except"
    else:
        line, text = node.test.lineno, f"if {ast.unparse(node.test)}"
    return Place(line_place(at.file, line, at.function, trace.sources[at.file]), text)
