"""Repair of what is used once more after a backward of its own: from there on it is a number."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, leads
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Step, Trace

# What needs no graph of a tensor anyway.
_PLAIN = ("detach", "item", "data", "shape", "size", "tolist", "numpy")


def detached_after(trace: Trace, freeing: Backward | None, event: Backward) -> Iterator[Help]:
    """``v.detach()`` in what follows the statement that leads to the earlier backward, for what was
    computed before it and went into its loss, where a step has changed the weights since: the
    graph is not worth keeping."""
    if freeing is None or freeing.at is None or freeing.at == event.at or freeing.inferred:
        return
    first, last = trace.events.index(freeing), trace.events.index(event)
    if not any(isinstance(each, Step) for each in trace.events[first:last]):
        return
    callers = Callers(trace, freeing.at)
    names = callers.leading_to(freeing.at)
    for file in callers.files:
        for node in ast.walk(file.tree):
            for body in (getattr(node, each, None) for each in ("body", "orelse")):
                if not isinstance(body, list) or isinstance(node, ast.Module | ast.ClassDef):
                    continue
                for at, statement in enumerate(body):
                    if leads(file, statement, freeing.at, names) and file.body(statement):
                        found = _after(file, body, at, {freeing.loss, event.loss})
                        if found is not None:
                            yield found


def _after(file: Rewriting, body: list[ast.stmt], at: int, losses: set[str]) -> Help | None:
    if hasattr(body[at], "body"):
        return None
    used = _made_of(body, at) - losses
    edits, told = [], set[str]()
    for each in body[at + 1 :]:
        if hasattr(each, "body"):
            break
        for node in ast.walk(each):
            parent = file.parents.get(id(node))
            plain = isinstance(parent, ast.Attribute) and parent.attr in _PLAIN
            if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            if ast.unparse(node) in used and not plain:
                end = file.span(node)[1]
                edits.append((end, end, ".detach()"))
                told.add(ast.unparse(node))
        used -= bound_names(each)
    if not edits:
        return None
    text = message("repairs.kept_apart.after", names=sorted(told), line=body[at].lineno)
    return file.help(text, *edits)


def _made_of(body: list[ast.stmt], at: int) -> set[str]:
    """The variables that the body computed, by a call of something, before the statement, and that
    this reads: itself, or by what others of them are computed from."""
    needed = read_names(body[at])
    found: set[str] = set()
    for each in reversed(body[:at]):
        bound = bound_names(each)
        if not isinstance(each, ast.Assign) or not bound & needed:
            continue
        if any(isinstance(node, ast.Call) for node in ast.walk(each.value)):
            found |= bound & needed
        needed |= read_names(each)
    return found
