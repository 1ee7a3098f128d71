"""Finds the summand of a loss that lost its graph while the others have theirs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.lineage.cut import lineage_of
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.lineage.trail import HAS_GRAPH, Result, Trail
from graphlab.observe.notes import Cut
from graphlab.source.effects.assignments import target_names
from graphlab.source.files import UserFiles, user_frame

# How many sums and calls are gone into.
DEEP = 8


class Term(NamedTuple):
    """A summand: the expression `node` as it was at line `before` of its function."""

    lineage: Lineage
    node: ast.expr
    before: int

    @property
    def result(self) -> Result:
        return self.lineage.value(self.node, self.before)


def cut_terms(
    frame: FrameType | None, loss: str, files: UserFiles
) -> Iterator[tuple[str, Cut, list[Any]]]:
    """(the summand as it is written, where it lost its graph, the modules and leaves behind that)
    for each of the loss's summands that was computed from something with a graph, where other
    summands still have theirs."""
    frame = user_frame(frame, files)
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return
    if frame is None:
        return
    trail = Trail(thorough=True)
    terms = [*_terms(lineage_of(frame, files, trail), expression, frame.f_lineno, 0)]
    results = [(each, each.result) for each in terms]
    alive = [each for each, result in results if result is HAS_GRAPH]
    names = {name for each in alive for name in _names(each.node)}
    for each, result in results:
        # `x + (value - x).detach()` changes the value of x alone, on purpose.
        if alive and isinstance(result, Cut) and not _names(result.node) & names:
            behind = [one for cut, found in trail.cuts if cut is result for one in found]
            yield ast.unparse(each.node), result, behind


def _terms(lineage: Lineage, node: ast.expr, before: int, depth: int) -> Iterator[Term]:
    here = Term(lineage, node, before)
    if depth > DEEP:
        yield here
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _terms(lineage, node.left, before, depth + 1)
        yield from _terms(lineage, node.right, before, depth + 1)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        yield from _terms(lineage, node.operand, before, depth + 1)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        factor = _only_factor(node)
        yield from _terms(lineage, factor, before, depth + 1) if factor is not None else [here]
    elif isinstance(node, ast.Name):
        yield from _stored(lineage, node, before, depth)
    elif isinstance(node, ast.Call):
        yield from _called(here, depth)
    else:
        yield here


def _only_factor(node: ast.BinOp) -> ast.expr | None:
    """What a number is multiplied with, or what is divided by one."""
    if isinstance(node.right, ast.Constant):
        return node.left
    if isinstance(node.left, ast.Constant) and isinstance(node.op, ast.Mult):
        return node.right
    return None


def _stored(lineage: Lineage, node: ast.Name, before: int, depth: int) -> Iterator[Term]:
    """The summands of a variable: of the value that it was given, and of all that was added."""
    statements = lineage.assignments(node.id, before)
    if len(statements) == 1 and isinstance(statements[0], ast.Assign):
        entry = _entry(lineage, statements[0], node.id, depth)
        if entry is not None:
            yield from _terms(*entry, depth + 1)
            return
    plain = all(
        (isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name))
        or (isinstance(each, ast.AugAssign) and isinstance(each.op, ast.Add | ast.Sub))
        for each in statements
    )
    if not statements or not plain:
        yield Term(lineage, node, before)
        return
    for each in statements:
        value = getattr(each, "value", None)
        if isinstance(value, ast.expr):
            # The statement's own line counts, where it reads the variable that it stores.
            yield from _terms(lineage, value, each.lineno, depth + 1)


def _entry(
    lineage: Lineage, statement: ast.Assign, name: str, depth: int
) -> tuple[Lineage, ast.expr, int] | None:
    """What `name` gets in ``loss, parts = compute(batch)``: (lineage, expression, line)."""
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    names = target_names(target)
    before = statement.lineno
    if isinstance(value, ast.Call):
        inner = lineage.inside(value, lineage.reach(value.func), [], before, depth)
        returned = inner.returns() if inner is not None else []
        if inner is None or len(returned) != 1 or returned[0].value is None:
            return None
        lineage, value, before = inner, returned[0].value, returned[0].lineno
    if not isinstance(value, ast.Tuple | ast.List) or len(value.elts) != len(names):
        return None
    return lineage, value.elts[names.index(name)], before


def _called(term: Term, depth: int) -> Iterator[Term]:
    """The summands of what a function of the user's returns, or of a sum() over a written list."""
    lineage, node, before = term
    assert isinstance(node, ast.Call)
    if isinstance(node.func, ast.Name) and node.func.id == "sum" and len(node.args) == 1:
        listed = _listed(lineage, node.args[0], before)
        for each in listed:
            yield from _terms(lineage, each, before, depth + 1)
        if listed:
            return
    inner = lineage.inside(node, lineage.reach(node.func), [], before, depth)
    returned = inner.returns() if inner is not None else []
    value = returned[0].value if len(returned) == 1 else None
    if inner is None or value is None or isinstance(value, ast.Tuple):
        yield term
        return
    found = [*_terms(inner, value, returned[0].lineno, depth + 1)]
    # A function that returns no sum is one summand, as its caller wrote it.
    yield from found if len(found) > 1 else [term]


def _listed(lineage: Lineage, node: ast.expr, before: int) -> list[ast.expr]:
    """The entries of a list or dict that is written out."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        node = node.func.value if node.func.attr == "values" else node
    if isinstance(node, ast.Name):
        stored = lineage.assignments(node.id, before)
        value = getattr(stored[-1], "value", None) if len(stored) == 1 else None
        node = value if isinstance(value, ast.expr) else node
    if isinstance(node, ast.Dict):
        return node.values
    return node.elts if isinstance(node, ast.List | ast.Tuple) else []


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} - {"self", "torch"}
