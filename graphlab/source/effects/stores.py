"""Finds the statements that store into variables, attributes and items, and the values stored."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphlab.source.places import parse, place
from graphlab.trace.model import Location

# Methods by which a container is given one more value.
ADDERS = ("append", "extend", "insert", "add", "appendleft", "update", "setdefault")


@dataclass(frozen=True, slots=True)
class Store:
    """One store: `target` is what is stored into, `value` what it is given, None where that is not
    one expression. owner: the name of the class around it. adds: a container keeps what it had.
    loops: the loops around it in its function."""

    file: str
    function: str
    owner: str
    node: ast.stmt
    target: ast.expr
    value: ast.expr | None
    adds: bool = False
    loops: tuple[ast.For | ast.AsyncFor | ast.While, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the target: ``weight`` of ``self.fc.weight``."""
        return last_part(self.target)

    @property
    def holder(self) -> ast.expr | None:
        """Whose attribute or item it is; None for a variable."""
        return getattr(self.target, "value", None)

    @property
    def at(self) -> Location:
        """The place of the statement, on the line that it begins on."""
        return self.at_node(self.node)

    def at_node(self, node: ast.AST) -> Location:
        """The place of a part of it."""
        return place(node, self.file, self.function or "<module>")


def last_part(node: ast.AST) -> str:
    """``weight`` of ``self.fc.weight``, ``loss`` of ``stats["loss"]``; "" for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value if type(node.slice.value) is str else last_part(node.value)
    return last_part(node.value) if isinstance(node, ast.Subscript) else ""


@lru_cache(maxsize=256)
def stores(file: str) -> tuple[Store, ...]:
    """All stores of a file in the order of its lines; none if it cannot be read."""
    tree = parse(file)
    return tuple(_of(tree.body, file, "", "", ())) if tree is not None else ()


def stores_named(file: str, name: str) -> list[Store]:
    """The stores of a file whose target ends in `name`."""
    return [each for each in stores(file) if each.name == name]


def _of(
    body: list[ast.stmt], file: str, path: str, owner: str, loops: tuple[ast.stmt, ...]
) -> Iterator[Store]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{path}.{node.name}" if path else node.name
            yield from _of(node.body, file, inner, owner, ())
            continue
        if isinstance(node, ast.ClassDef):
            inner = f"{path}.{node.name}" if path else node.name
            yield from _of(node.body, file, inner, node.name, ())
            continue
        for target, value, adds in _stored(node):
            yield Store(file, path, owner, node, target, value, adds, loops)  # pyright: ignore
        around = (*loops, node) if isinstance(node, ast.For | ast.AsyncFor | ast.While) else loops
        for field in ("body", "orelse", "finalbody"):
            yield from _of(getattr(node, field, []), file, path, owner, around)
        for field in ("handlers", "cases"):
            for each in getattr(node, field, []):
                yield from _of(each.body, file, path, owner, around)


def _stored(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr | None, bool]]:
    """(target, value, whether it adds) of each store of one statement."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _paired(target, node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value, False
    elif isinstance(node, ast.AugAssign):
        yield node.target, node.value, True
    elif isinstance(node, ast.For):
        for each in ast.walk(node.target):
            if isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Store):
                yield each, None, False
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield from _called(node.value)


def _paired(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr | None, bool]]:
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value, False
        return
    several = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    matched = len(several) == len(target.elts)
    for at, each in enumerate(target.elts):
        yield from _paired(each, several[at] if matched else value)


def _called(call: ast.Call) -> Iterator[tuple[ast.expr, ast.expr | None, bool]]:
    func, given = call.func, call.args
    if isinstance(func, ast.Name) and func.id == "setattr" and len(given) == 3:
        name = given[1].value if isinstance(given[1], ast.Constant) else None
        if type(name) is str:
            yield (
                ast.copy_location(ast.Attribute(given[0], name, ast.Store()), call),
                given[2],
                False,
            )
    elif isinstance(func, ast.Attribute):
        registers = func.attr in ("register_parameter", "register_module", "add_module")
        if registers and len(given) == 2 and isinstance(given[0], ast.Constant):
            name = given[0].value
            if type(name) is str:
                made = ast.copy_location(ast.Attribute(func.value, name, ast.Store()), call)
                yield made, given[1], False
        elif func.attr in ADDERS and given:
            yield func.value, given[-1], True
