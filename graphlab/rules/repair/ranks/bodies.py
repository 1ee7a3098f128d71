"""Finds the statements of one body that lead to lines elsewhere, and the device that the code
around a statement works on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.source.rewriting import Rewriting
from graphlab.trace.model import Location

# What programs call the device of a rank, and where they give it.
_DEVICE = re.compile(r"device|rank|gpu|cuda", re.IGNORECASE)
_MOVES = ("to", "cuda")


# What every module has, so that its name leads nowhere; and how many functions may lie between.
_ANY, _DEEP = ("forward", "__call__"), 3


def in_one_body(
    file: Rewriting, first: Location | None, second: Location | None
) -> tuple[ast.stmt, ast.stmt] | None:
    """Two statements of one body, the one before the other, that lead to these lines: by what they
    call themselves, or else by what that calls."""
    if first is None or second is None or {first.file, second.file} != {file.file}:
        return None
    return _pair(file, first, second, 0) or _pair(file, first, second, _DEEP)


def _pair(
    file: Rewriting, first: Location, second: Location, deep: int
) -> tuple[ast.stmt, ast.stmt] | None:
    one, other = _leading(file, first, deep), _leading(file, second, deep)
    for node in ast.walk(file.tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list) or not body or not file.body(body[0]):
                continue
            ones = [each for each in body if _leads(each, first, one)]
            others = [each for each in body if _leads(each, second, other)]
            if len(ones) == len(others) == 1 and body.index(ones[0]) < body.index(others[0]):
                return ones[0], others[0]
    return None


def leads_to(file: Rewriting, statement: ast.stmt, at: Location) -> bool:
    """Whether the line runs in the statement: it is one of its lines, or of a function of the file
    that it names."""
    return _leads(statement, at, _leading(file, at, 0))


def _leads(statement: ast.stmt, at: Location, names: set[str]) -> bool:
    if statement.lineno <= at.line <= (statement.end_lineno or 0):
        return not isinstance(statement, ast.FunctionDef | ast.ClassDef)
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return False
    # Called, or given to what calls it, as in ``model.apply(init)``.
    return _named(statement, names)


def _leading(file: Rewriting, at: Location, deep: int) -> set[str]:
    """The name of the function of the file that holds a line, and those of what calls it over so
    many others. Who makes an object calls its class."""
    inside = file.function(file.statement(at.line) or file.tree)
    names = {_called_as(file, inside)} if isinstance(inside, ast.FunctionDef) else set[str]()
    functions = [each for each in ast.walk(file.tree) if isinstance(each, ast.FunctionDef)]
    for _ in range(deep if names else 0):
        names |= {_called_as(file, e) for e in functions if _named(e, names)} - {*_ANY}
    return names


def _called_as(file: Rewriting, function: ast.FunctionDef) -> str:
    holder = file.parents.get(id(function))
    made = function.name == "__init__" and isinstance(holder, ast.ClassDef)
    return holder.name if made and isinstance(holder, ast.ClassDef) else function.name


def _named(node: ast.AST, names: set[str]) -> bool:
    return any(
        getattr(each, "id", None) in names or getattr(each, "attr", None) in names
        for each in ast.walk(node)
    )


def number(file: Rewriting, statement: ast.stmt, value: str) -> str:
    """A tensor of a number, before a statement, as the collectives of the program's backend take
    it: NCCL refuses those of the CPU."""
    torch = file.torch()
    at = "" if _takes_any(file) else _device(file, statement)
    return f"{torch[0] if torch else 'torch'}.tensor({value}{at and f', device={at}'})"


def _takes_any(file: Rewriting) -> bool:
    """Whether the file says so of its backend, or leaves the choice to torch."""
    for each in ast.walk(file.tree):
        if isinstance(each, ast.Call) and "init_process_group" in ast.unparse(each.func):
            named = [e.value for e in each.keywords if e.arg == "backend"]
            given = [*each.args[:1], *named]
            if not given or any(word in ast.unparse(given[0]) for word in ("gloo", "mpi")):
                return True
    return False


def _device(file: Rewriting, statement: ast.stmt) -> str:
    """How the code around a statement calls its device; "" where the file names none."""
    function = file.function(statement)
    for scope in (function, None):
        for each in _devices(file.tree):
            if file.function(each) is scope and _DEVICE.search(ast.unparse(each)):
                return ast.unparse(each)
    holder = file.parents.get(id(function)) if isinstance(function, ast.FunctionDef) else None
    for each in _devices(holder) if isinstance(holder, ast.ClassDef) else ():
        if ast.unparse(each).startswith("self."):
            return ast.unparse(each)
    texts = {each.value for each in ast.walk(file.tree) if isinstance(each, ast.Constant)}
    return '"cuda"' if "nccl" in texts else ""


def _devices(within: ast.AST) -> Iterator[ast.expr]:
    """What is given as a device: to DistributedDataParallel, or where tensors are moved."""
    calls = [each for each in ast.walk(within) if isinstance(each, ast.Call)]
    for each in calls:
        for option in each.keywords:
            if option.arg == "device_ids" and isinstance(option.value, ast.List):
                yield from option.value.elts[:1]
    for each in calls:
        if isinstance(each.func, ast.Attribute) and each.func.attr in _MOVES:
            yield from each.args[:1]
