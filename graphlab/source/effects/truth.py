"""Evaluates the conditions that a program chooses its parameters by, such as
``name.startswith("head")``, and the flags that keep a branch from running, without running any of
its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

from graphlab.source.effects.assignments import assignments_in, stores_in
from graphlab.source.evaluate import evaluate
from graphlab.source.objects import LOST, exactly, is_a, items
from graphlab.source.places import kinds_of, nodes_of

Lookup = Callable[[str], Any]
_ON = ("requires_grad", "True")
_PLAIN = (str, int, float, bool, type(None))
_METHODS = ("startswith", "endswith", "split", "lower", "upper", "strip", "replace", "rsplit")


def value_of(node: ast.expr, name: Lookup) -> Any:
    """The value of an expression of strings, numbers, truth values and lists of those; LOST for any
    other."""
    if isinstance(node, ast.BoolOp):
        return _bool(node, name)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = value_of(node.operand, name)
        return LOST if not _plain(inner) else not inner
    if isinstance(node, ast.Compare):
        return _compare(node, name)
    if isinstance(node, ast.Call):
        return _call(node, name)
    if isinstance(node, ast.Subscript):
        holder, key = value_of(node.value, name), value_of(node.slice, name)
        if exactly(holder, list, tuple, str) and type(key) is int:
            return holder[key] if -len(holder) <= key < len(holder) else LOST
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        found = [value_of(each, name) for each in node.elts]
        return LOST if any(each is LOST for each in found) else found
    if isinstance(node, ast.IfExp):
        test = value_of(node.test, name)
        return LOST if not _plain(test) else value_of(node.body if test else node.orelse, name)
    return evaluate(node, name)


def _plain(value: Any) -> bool:
    return any(type(value) is kind for kind in _PLAIN)


def _bool(node: ast.BoolOp, name: Lookup) -> Any:
    wanted = isinstance(node.op, ast.Or)
    known = True
    for each in node.values:
        found = value_of(each, name)
        if not _plain(found):
            known = False
        elif bool(found) is wanted:
            return wanted
    return not wanted if known else LOST


def _compare(node: ast.Compare, name: Lookup) -> Any:
    if len(node.ops) != 1:
        return LOST
    left, right = value_of(node.left, name), value_of(node.comparators[0], name)
    operator = node.ops[0]
    if left is LOST or right is LOST:
        return LOST
    if isinstance(operator, ast.In | ast.NotIn):
        if type(right) is str and type(left) is str:
            inside = left in right
        elif is_a(right, (list, tuple, set, frozenset)) and _plain(left):
            kept = [each for _, each in items(right)] if is_a(right, (list, tuple)) else None
            if kept is None:
                kept = list(right) if exactly(right, set, frozenset) else []
            inside = any(_plain(each) and each == left for each in kept)
        elif type(right) is dict and _plain(left):
            inside = any(_plain(each) and each == left for each in right)
        else:
            return LOST
        return inside is isinstance(operator, ast.In)
    if isinstance(operator, ast.Is | ast.IsNot):
        return (left is right) is isinstance(operator, ast.Is)
    if not (_plain(left) and _plain(right)):
        return LOST
    if isinstance(operator, ast.Eq | ast.NotEq):
        return (left == right) is isinstance(operator, ast.Eq)
    numbers = (int, float, bool)
    if exactly(left, *numbers) and exactly(right, *numbers):
        if isinstance(operator, ast.Lt | ast.GtE):
            return (left < right) is isinstance(operator, ast.Lt)
        return (left > right) is isinstance(operator, ast.Gt)
    return LOST


def _call(node: ast.Call, name: Lookup) -> Any:
    func = node.func
    given = node.args
    if isinstance(func, ast.Name) and func.id in ("any", "all") and len(given) == 1:
        return _each(func.id == "any", given[0], name)
    if isinstance(func, ast.Name) and func.id == "isinstance" and len(given) == 2:
        value, kinds = (evaluate(each, name) for each in given)
        several = kinds if exactly(kinds, list, tuple) else [kinds]
        if value is LOST or not all(is_a(each, type) for each in several):
            return LOST
        return is_a(value, tuple(several))
    if isinstance(func, ast.Name) and func.id in ("tuple", "list", "set") and len(given) == 1:
        return value_of(given[0], name)
    if not isinstance(func, ast.Attribute) or node.keywords:
        return LOST
    arguments = [value_of(each, name) for each in given]
    if ast.unparse(func) in ("re.match", "re.search", "re.fullmatch") and len(arguments) == 2:
        if all(type(each) is str for each in arguments):
            try:
                return getattr(re, func.attr)(*arguments) is not None
            except re.error:
                return LOST
        return LOST
    holder = value_of(func.value, name)
    if type(holder) is not str or func.attr not in _METHODS:
        return LOST
    arguments = [tuple(each) if type(each) is list else each for each in arguments]
    if any(each is LOST for each in arguments):
        return LOST
    try:
        return getattr(holder, func.attr)(*arguments)
    except (TypeError, ValueError):
        return LOST


def _each(wanted: bool, node: ast.expr, name: Lookup) -> Any:
    """``any(…)`` of a generator over a list, or ``all(…)``."""
    if not isinstance(node, ast.GeneratorExp | ast.ListComp) or len(node.generators) != 1:
        return LOST
    loop = node.generators[0]
    over = value_of(loop.iter, name)
    if not exactly(over, list, tuple) or not isinstance(loop.target, ast.Name) or loop.ifs:
        return LOST
    target, known = loop.target.id, True
    for each in over:
        found = value_of(node.elt, lambda n, each=each: each if n == target else name(n))
        if not _plain(found):
            known = False
        elif bool(found) is wanted:
            return wanted
    return not wanted if known else LOST


def assignments_run(
    scope: ast.AST | None, name: str, before: int, values: Lookup
) -> list[ast.stmt]:
    """As `assignments_in`, without what stands last and is in a branch that does not run."""
    found = assignments_in(scope, name, before)
    while found and isinstance(found[-1], ast.Assign) and _is_left_out(found[-1], scope, values):
        earlier = assignments_in(scope, name, found[-1].lineno)
        if not earlier:
            break
        found = [*found[:-1], *earlier]
    return found


def given_in_loop(scope: ast.AST | None, name: str, before: int) -> ast.Assign | None:
    """The one statement by which a loop around line `before` gives `name` another value below that
    line, ``w = w - lr * w.grad``, where it was to require grad above: what does not require grad
    by now is of that statement."""
    above = assignments_in(scope, name, before)
    made = above[0] if len(above) == 1 and isinstance(above[0], ast.Assign) else None
    if made is None or not _asked(made.value, scope, name, before):
        return None
    loops = [
        each
        for each in nodes_of(scope)
        if isinstance(each, ast.For | ast.While) and each.lineno < before <= (each.end_lineno or 0)
    ]
    below = [
        each
        for each in stores_in(scope).get(name, ())
        if each not in above and any(each.lineno <= (loop.end_lineno or 0) for loop in loops)
    ]
    last = below[0] if len(below) == 1 else None
    return last if isinstance(last, ast.Assign) and last.lineno >= before else None


def _asked(made: ast.expr, scope: ast.AST | None, name: str, before: int) -> bool:
    """Whether what `made` makes is to require grad, or `name` is told so above line `before`."""
    for each in ast.walk(made):
        if isinstance(each, ast.keyword) and (each.arg, ast.unparse(each.value)) == _ON:
            return True
        if isinstance(each, ast.Attribute) and each.attr == "requires_grad_":
            return True
    told = (
        f"{name}.requires_grad = True",
        f"{name}.requires_grad_()",
        f"{name}.requires_grad_(True)",
    )
    return any(
        isinstance(each, ast.Expr | ast.Assign)
        and each.lineno < before
        and ast.unparse(each) in told
        for each in nodes_of(scope)
    )


def _is_left_out(statement: ast.stmt, scope: ast.AST | None, values: Lookup) -> bool:
    for each in kinds_of(scope, ast.If):
        for wanted, branch in ((True, each.body), (False, each.orelse)):
            if any(one.lineno <= statement.lineno <= (one.end_lineno or 0) for one in branch):
                flag = _flag(each.test, scope, values)
                if flag is not LOST and flag is not wanted:
                    return True
    return False


def _flag(node: ast.expr, scope: ast.AST | None, values: Lookup) -> Any:
    """The value of a flag that the function does not set, ``not`` one, or several: True, False or
    LOST. What counts, or is None at first, may have been otherwise when the test was made."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _flag(node.operand, scope, values)
        return inner if inner is LOST else not inner
    if isinstance(node, ast.BoolOp):
        found = [_flag(each, scope, values) for each in node.values]
        decides = isinstance(node.op, ast.Or)
        if decides in found:
            return decides
        return LOST if LOST in found else not decides
    if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) not in stores_in(scope):
        value = evaluate(node, values)
        return value if type(value) is bool else LOST
    return LOST
