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
            whole, end = node, ""
            outer = file.parents.get(id(node))
            if isinstance(outer, ast.Attribute) and outer.attr in _LEAVING:
                called = file.parents.get(id(outer))
                whole = called if isinstance(called, ast.Call) else outer
                end = f".{outer.attr}" + ("()" if whole is called else "")
            begins = len(node.args) + len(node.keywords) > 1
            (first if begins else found)[place(whole, path, source=source)] = f"{name}{end}"
    found = first or found
    return Place(*next(iter(found.items()))) if len(found) == 1 else None


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
