"""Finds, in the source, the lines that led past a wrapper or changed what is inside of one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from graphlab.observe.names import submodules
from graphlab.observe.notes import Spot, located
from graphlab.source.objects import attributes, class_name, items
from graphlab.source.places import parse, place
from graphlab.trace.values import Location

# What a wrapper's no_sync() sets.
FLAG, _GRAD = "require_backward_grad_sync", "requires_grad"


def parameter_paths(module: Any) -> dict[int, str]:
    """The dotted path from `module` to each parameter, by the parameter's identity."""
    return {
        id(parameter): f"{name}.{own}" if name else str(own)
        for name, each in submodules(module)
        for own, parameter in items(attributes(each).get("_parameters"))
        if parameter is not None
    }


def assigned_after(built: Spot | None, path: str) -> Location | None:
    """The one assignment after the line `built` to what the path of a parameter begins with, such
    as ``model.module.head = …``."""
    at = located(built)
    tree = parse(at.file) if at is not None else None
    if at is None or tree is None:
        return None
    found = [
        place(node, at.file, at.function)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and node.lineno > at.line
        and any(f"{path}.".startswith(f"{each}.") for each in _inside(node.targets))
    ]
    return found[0] if len(found) == 1 else None


def _inside(targets: list[ast.expr]) -> Iterator[str]:
    """Paths that begin at any object of these targets: ``head`` for ``self.model.module.head``."""
    for target in targets:
        if isinstance(target, ast.Attribute | ast.Subscript):
            parts = re.sub(r"\[(\d+)\]", r".\1", ast.unparse(target)).split(".")
            yield from (".".join(parts[at:]) for at in range(1, len(parts)))


def uses_of(built: Location, path: str) -> Location | None:
    """The one call of the module that has the parameter at `path`, in the file that builds it: such
    as ``self.value(x)``, under a condition."""
    tree = parse(built.file)
    parts = path.split(".")
    if tree is None or len(parts) < 2:
        return None
    found = [
        place(node, built.file, built.function)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == parts[-2]
    ]
    return found[0] if len(found) == 1 else None


def called_from(spot: Spot | None, module: Any) -> Location | None:
    """A line that ran in a method of `module`'s as the one line of its file that calls this method
    from elsewhere, or another one of the class that leads to it; else the line itself."""
    at = located(spot)
    tree = parse(at.file) if at is not None else None
    if spot is None or at is None or tree is None:
        return at
    kind, _, method = spot[0].co_qualname.rpartition(".")
    if kind != class_name(module):
        return at
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    mine = [node for node in classes if node.name == kind]
    own = {id(each) for node in mine for each in ast.walk(node)}
    methods = _leading_to(method, mine)
    found = [
        place(node, at.file, "")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and id(node) not in own
    ]
    return found[0] if len(found) == 1 else at


def _leading_to(method: str, classes: list[ast.ClassDef]) -> set[str]:
    """The methods of the classes that call this one, directly or through others, and itself."""
    calls = {
        (each.name, node.func.attr)
        for one in classes
        for each in one.body
        if isinstance(each, ast.FunctionDef)
        for node in ast.walk(each)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id == "self"
    }  # fmt: skip
    found, more = {method}, {method}
    while more:
        more = {caller for caller, called in calls if called in found} - found
        found |= more
    return found


def guarded(at: Location | None) -> tuple[Location, str] | None:
    """The ``with model.no_sync()`` around a line, also one that is under a condition or made ahead,
    and what stands there."""
    tree = parse(at.file) if at is not None else None
    if at is None or tree is None:
        return None
    for node in ast.walk(tree):
        if not isinstance(node, ast.With) or not node.lineno <= at.line <= (node.end_lineno or 0):
            continue
        for each in node.items:
            guard = each.context_expr
            if _names_no_sync(guard):
                return place(guard, at.file, at.function), ast.unparse(guard)
            name = guard.func if isinstance(guard, ast.Call) else guard
            made = [
                one
                for one in ast.walk(tree)
                if isinstance(one, ast.Assign)
                and [*map(ast.unparse, one.targets)] == [ast.unparse(name)]
                and _names_no_sync(one.value)
            ]
            if len(made) == 1:
                return place(made[0], at.file, at.function), ast.unparse(made[0].value)
    return None


def paused_at(at: Location | None) -> tuple[Location, str] | None:
    """The only assignment of a wrapper's flag by which it averages or not, and what is assigned."""
    tree = parse(at.file) if at is not None else None
    if at is None or tree is None:
        return None
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and any(isinstance(e, ast.Attribute) and e.attr == FLAG for e in node.targets)
    ]
    if len(found) != 1:
        return None
    return place(found[0], at.file, at.function), ast.unparse(found[0].targets[0])


def unfrozen_after(built: Location | None) -> Location | None:
    """The one line after `built` that lets parameters require a gradient again."""
    tree = parse(built.file) if built is not None else None
    if built is None or tree is None:
        return None
    found = [
        place(node, built.file, built.function)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.Expr) and node.lineno > built.line and _thaws(node)
    ]
    return found[0] if len(found) == 1 else None


def _thaws(node: ast.Assign | ast.Expr) -> bool:
    if isinstance(node, ast.Assign):
        sets = any(isinstance(e, ast.Attribute) and e.attr == _GRAD for e in node.targets)
        return sets and isinstance(node.value, ast.Constant) and node.value.value is True
    call = node.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    given = [*call.args, *(each.value for each in call.keywords)]
    return call.func.attr == f"{_GRAD}_" and (
        not given or (isinstance(given[0], ast.Constant) and given[0].value is True)
    )


def _names_no_sync(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == "no_sync" for n in ast.walk(node))


# What waits for a collective that runs on.
_WAITS = {"wait", "wait_all", "get_future", "synchronize"}


def handle_lost(at: Location | None) -> bool:
    """Whether a loop gives what the call at a line returns to one name in each turn, and reads that
    name only when it is over: then it waits for the last call alone."""
    tree = parse(at.file) if at is not None else None
    if at is None or tree is None:
        return False
    for loop in ast.walk(tree):
        if not isinstance(loop, ast.For | ast.While):
            continue
        for each in loop.body:
            name = each.targets[0] if isinstance(each, ast.Assign) else None
            if isinstance(name, ast.Name) and each.lineno <= at.line <= (each.end_lineno or 0):
                inside = [n for n in ast.walk(loop) if isinstance(n, ast.Name) and n.id == name.id]
                return all(isinstance(n.ctx, ast.Store) for n in inside)
    return False


@lru_cache(maxsize=256)
def waits(path: str) -> bool:
    """Whether a file names anything that waits; true where it cannot be read."""
    tree = parse(path)
    if tree is None:
        return True
    return any(
        (isinstance(node, ast.Attribute) and node.attr in _WAITS)
        or (isinstance(node, ast.Name) and node.id in _WAITS)
        or (isinstance(node, ast.Constant) and node.value in _WAITS)
        for node in ast.walk(tree)
    )
