"""What an entry of a list, the variable of a loop, or an array that a library gave stands for."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

from graphlab.observe.lineage.callee import entered, networks_in
from graphlab.observe.names import parameters_in
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.assignments import assigned_value, stores_in, target_names
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attributes, is_a, item, items, length

_OF_A_MODULE = ("parameters", "named_parameters")

# Gives the object that an expression evaluates to, None where that is not known.
Reach = Callable[[ast.AST], Any]
Loop = ast.For | ast.comprehension


def first_of_loop(loops: list[Loop], name: str, reach: Reach) -> Any:
    """The first value of a loop's variable: the items of a list are assumed to be alike. Of a loop
    over a module's parameters, the first one that is trained."""
    for loop in loops:
        source = loop.iter
        if isinstance(source, ast.Call) and ast.unparse(source.func) == "enumerate":
            source = source.args[0] if source.args else source
        found = _parameter(source, loop.target, name, reach)
        if found is not LOST:
            return found
        holder = reach(source)
        if is_module(holder):
            own = attributes(holder)
            inner = own.get("_modules") or own.get("_parameters")
            holder = [each for _, each in items(inner)]
        if is_a(holder, (list, tuple)):
            return item(holder, 0)
    return LOST


def _parameter(source: ast.expr, target: ast.expr, name: str, reach: Reach) -> Any:
    """A parameter of ``for name, p in model.named_parameters()``."""
    if not isinstance(source, ast.Call) or not isinstance(source.func, ast.Attribute):
        return LOST
    kind, names = source.func.attr, target_names(target)
    if (
        kind not in _OF_A_MODULE
        or names != [*names[:-1], name]
        or (kind == "parameters") != (len(names) == 1)
    ):
        return LOST
    module = reach(source.func.value)
    own = parameters_in(module) if is_module(module) else []
    return next((each for each in own if requires_grad(each)), LOST)


def entry_stores(
    scope: ast.AST | None, node: ast.Subscript, before: int, reach: Reach
) -> tuple[str, list[ast.stmt]]:
    """The statements above line `before` that put something into ``scores[-1]``, the last one
    first, and how they write it: ``scores[1]``, where the list has two entries."""
    index, size = _number(node.slice, reach), length(reach(node.value))
    if index is None or size is None:
        return "", []
    holder = ast.unparse(node.value)
    for name, statements in stores_in(scope).items():
        if not name.startswith(f"{holder}["):
            continue
        stored = ast.parse(name, mode="eval").body
        if not isinstance(stored, ast.Subscript) or ast.unparse(stored.value) != holder:
            continue
        # One whose variable has no value has not run.
        at = _number(stored.slice, reach)
        above = [each for each in statements if each.lineno < before]
        if at is not None and above and at % max(size, 1) == index % max(size, 1):
            return name, sorted(above, key=lambda each: each.lineno, reverse=True)
    return "", []


def _number(node: ast.expr, reach: Reach) -> int | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        value = reach(node)
    return value if type(value) is int else None


def array_given(
    value: Any, statements: list[ast.stmt], reach: Callable[[ast.AST], Any], files: UserFiles
) -> ast.Call | None:
    """The call that `value`, an array of numpy's, is the result of, by the last of the `statements`
    that store it: a method of a library's, such as ``predict``, of an object that has a network
    which can be trained."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or not statements:
        return None
    call = assigned_value(statements[0])
    call = call.value if isinstance(call, ast.Subscript) else call
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    holder = reach(call.func.value)
    function = entered(reach(call.func))[1]
    if function is not None and function.__code__ in files:
        # What the user's own function does is read there.
        return None
    return call if networks_in(holder) else None


def call_behind(
    node: ast.Subscript | ast.Attribute, assignments: Callable[[str], list[ast.stmt]]
) -> tuple[ast.Call, str | int, ast.stmt | None] | None:
    """The call that gives what an entry is of, as in ``model(x)["loss"]``, the entry's key, and the
    statement that stored it in a variable in between, the only one of its `assignments`."""
    key: Any = node.attr if isinstance(node, ast.Attribute) else None
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        key = node.slice.value
    whole, statement = node.value, None
    made = assignments(whole.id) if isinstance(whole, ast.Name) else []
    if len(made) == 1 and isinstance(made[0], ast.Assign):
        whole, statement = made[0].value, made[0]
        if not isinstance(made[0].targets[0], ast.Name):
            return None
    if not isinstance(whole, ast.Call) or type(key) not in (str, int):
        return None
    return whole, key, statement
