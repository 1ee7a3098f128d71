"""Repair of what a custom Function's backward returns."""

from __future__ import annotations

import ast

from graphlab.language import Message, message
from graphlab.language.lists import listing
from graphlab.source.blocks import StatementInScope
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace


def complete_return(trace: Trace, event: Backward) -> Help | None:
    """Return the gradients that were computed and left out; None where the source does not tell
    which those are."""
    here = StatementInScope.of(trace, event.cut) if event.cut is not None else None
    if here is None or not isinstance(here.statement, ast.Return) or here.statement.value is None:
        return None
    node = event.node
    why = node.why if node is not None else ""
    if not isinstance(why, Message) or why.key != "observed.contract.number":
        return None
    if isinstance(here.scope, ast.Module):
        return None
    got, wanted = why.arguments["gradients"], why.arguments["inputs"]
    inputs = _inputs(here.source, here.scope)
    value = here.statement.value
    given = value.elts if isinstance(value, ast.Tuple) else [value]
    if len(inputs) != wanted or len(given) != got:
        return None
    if got > wanted:
        text = message("repairs.returned.too_many", count=wanted, inputs=listing(inputs))
        return Help(text)
    unused = _unused(here.scope)
    texts = [here.text(each) for each in given]
    if len(unused) != wanted - got or not texts:
        text = message("repairs.returned.too_few", count=wanted, inputs=listing(inputs))
        return Help(text)
    text = message("repairs.returned.complete", inputs=listing(inputs))
    return here.help(text, f"return {', '.join([*texts, *unused])}")


def _inputs(source: str, backward: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of forward's inputs in the class of `backward`."""
    for owner in ast.walk(ast.parse(source)):
        if not isinstance(owner, ast.ClassDef):
            continue
        methods = {each.name: each for each in owner.body if isinstance(each, ast.FunctionDef)}
        own = methods.get("backward")
        if own is None or own.lineno != backward.lineno or "forward" not in methods:
            continue
        given = methods["forward"].args
        names = [each.arg for each in (*given.posonlyargs, *given.args)]
        if given.vararg is not None:
            return []
        return names if "setup_context" in methods else names[1:]
    return []


def _unused(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The variables that are computed there and used nowhere, in the order of their lines."""
    stored: dict[str, int] = {}
    loaded: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored[node.id] = max(node.lineno, stored.get(node.id, 0))
        elif isinstance(node, ast.Name):
            loaded.add(node.id)
    return sorted(stored.keys() - loaded - {"_"}, key=lambda name: stored[name])
