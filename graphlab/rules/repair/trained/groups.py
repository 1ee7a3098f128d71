"""Repair of parameter groups that share parameters: the one of the whole leaves a part's out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_OF = ".parameters()"


def groups_apart(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``[p for name, p in net.named_parameters() if not name.startswith("head.")]`` for
    ``net.parameters()`` in a group beside one of ``net.head.parameters()``."""
    file = Rewriting.of(trace, at)
    for call in ast.walk(file.tree) if file is not None and at is not None else ():
        if file is None or at is None or not isinstance(call, ast.Call):
            continue
        if not call.args or not call.lineno <= at.line <= (call.end_lineno or 0):
            continue
        given = [value for each in ast.walk(call.args[0]) for value in _parameters_of(each)]
        for whole in given:
            root = ast.unparse(whole).removesuffix(_OF)
            parts = [ast.unparse(each).removesuffix(_OF) for each in given if each is not whole]
            inside = [
                each.removeprefix(f"{root}.") for each in parts if each.startswith(root + ".")
            ]
            if not inside:
                continue
            starts = [f'"{each}."' for each in inside]
            said = starts[0] if len(starts) == 1 else f"({', '.join(starts)})"
            new = f"[p for name, p in {root}.named_parameters() if not name.startswith({said})]"
            text = message("repairs.trained.groups", names=[f"{root}.{each}" for each in inside])
            found = file.help(text, (*file.span(whole), new))
            if found is not None:
                yield found
            return


def _parameters_of(node: ast.AST) -> Iterator[ast.expr]:
    """The ``net.parameters()`` that a dictionary of a group has."""
    for key, value in (
        zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ()
    ):
        named = isinstance(key, ast.Constant) and key.value == "params"
        if named and ast.unparse(value).endswith(_OF):
            yield value
