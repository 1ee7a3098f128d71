"""Where the program asks a library for a parameter that it keeps under a name."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphlab.source.places import place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Place
from graphlab.trace.model import Location, Trace

# What a value leaves its graph by.
_LEAVING = {"item", "detach", "data", "tolist", "numpy"}


def store_read(trace: Trace, at: Location, name: str) -> Place | None:
    """For a parameter that a library keeps under a name, ``pyro.param("scale")``: the one place
    where the user's code asks for it, and says with what it begins if any place does; up to what
    takes its graph there, if anything does."""
    try:
        asked = ast.parse(name, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(asked, ast.Call) or len(asked.args) != 1:
        return None
    found: dict[Location, str] = {}
    first: dict[Location, str] = {}
    for path, source in sorted(trace.sources.items()):
        file = Rewriting.of(trace, replace(at, file=path))
        for node in ast.walk(file.tree) if file is not None else ():
            if file is None or not isinstance(node, ast.Call) or not node.args:
                continue
            same = ast.unparse(node.func) == ast.unparse(asked.func)
            if not same or ast.unparse(node.args[0]) != ast.unparse(asked.args[0]):
                continue
            left = _leaving(node, file) or _variable_leaves(node, file)
            whole, text = left or (node, ast.unparse(node))
            text = name if left is None else text.replace(ast.unparse(node), name)
            begins = len(node.args) + len(node.keywords) > 1
            (first if begins else found)[place(whole, path, source=source)] = text
    found = first or found
    return Place(*next(iter(found.items()))) if len(found) == 1 else None


def _leaving(node: ast.AST, file: Rewriting) -> tuple[ast.AST, str] | None:
    """What takes the graph of the value of `node` where that stands, and how it is written."""
    outer = file.parents.get(id(node))
    if not isinstance(outer, ast.Attribute) or outer.attr not in _LEAVING:
        return None
    called = file.parents.get(id(outer))
    whole = called if isinstance(called, ast.Call) and called.func is outer else outer
    return whole, ast.unparse(outer) + ("()" if whole is called else "")


def _variable_leaves(node: ast.AST, file: Rewriting) -> tuple[ast.AST, str] | None:
    """What takes the graph of the variable that is given the value of `node`, where its function
    uses it nowhere else: ``sigma.item()``."""
    statement = file.parents.get(id(node))
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    (target,) = statement.targets
    around = file.parents.get(id(statement))
    while around is not None and not isinstance(around, ast.FunctionDef):
        around = file.parents.get(id(around))
    if around is None or not isinstance(target, ast.Name):
        return None
    named = [n for n in ast.walk(around) if isinstance(n, ast.Name) and n.id == target.id]
    uses = [_leaving(each, file) for each in named if each is not target]
    return uses[0] if len(uses) == 1 else None


def named_twice(trace: Trace, at: Location, parameter: str) -> Place | None:
    """Where the module that has `parameter` is given to a library under a name, as in
    ``pyro.module("net", self.decoder)``, that another module is given under as well."""
    given: dict[str, dict[str, Location]] = {}
    for path, source in sorted(trace.sources.items()):
        file = Rewriting.of(trace, replace(at, file=path))
        for node in ast.walk(file.tree) if file is not None else ():
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            name, module = node.args[:2]
            told = isinstance(name, ast.Constant) and isinstance(name.value, str)
            if told and isinstance(node.func, ast.Attribute) and node.func.attr == "module":
                text = f"{ast.unparse(node.func)}({ast.unparse(name)}, …)"
                places = given.setdefault(text, {})
                places.setdefault(ast.unparse(module), place(node, path, source=source))
    for text, places in given.items():
        mine = [where for each, where in places.items() if f".{_last(each)}." in f".{parameter}"]
        if len(places) > 1 and len(mine) == 1:
            return Place(mine[0], text)
    return None


def _last(text: str) -> str:
    return text.rpartition(".")[2]
