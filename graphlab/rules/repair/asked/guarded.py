"""Repairs of a write that needs no gradient, where its statement gives no more than a place for it:
in a file that does not import torch yet, in a ``return`` whose callers use no result."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.writes import is_write
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_OFFERED = re.compile(r"^import torch$", re.MULTILINE)


def guarded_and_imported(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Put the write at `at`, and those directly after it, under no_grad, which the file is to
    import or knows by another name than torch."""
    file = Rewriting.of(trace, at)
    first = file.statement(at.line) if file is not None and at is not None else None
    known = file.torch() if file is not None else None
    if file is None or first is None or known is None or _OFFERED.search(file.source):
        return
    body = file.body(first)
    if first not in body or not is_write(first):
        return
    last = first
    for each in body[body.index(first) + 1 :]:
        if not is_write(each):
            break
        last = each
    name, imports = known
    edit = file.under(f"with {name}.no_grad()", first, last)
    found = file.help(message("repairs.writes.under_no_grad"), *imports, edit)
    if found is not None:
        yield found


def guarded_and_given_back(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Put ``return old.mul_(decay).add_(new)`` under no_grad, where no caller does more with the
    result than drop it, or keep it as ``.data``."""
    file = Rewriting.of(trace, at)
    last = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(last) if file is not None and last is not None else None
    known = file.torch() if file is not None else None
    if file is None or not isinstance(last, ast.Return) or function is None or known is None:
        return
    if last.value is None or not is_write(ast.Expr(last.value)) or not file.body(last):
        return
    method = isinstance(file.parents.get(id(function)), ast.ClassDef)
    if not _unused(trace, function.name, method):
        return
    name, imports = known
    edit = file.under(f"with {name}.no_grad()", last, last)
    found = file.help(message("repairs.writes.under_no_grad"), *imports, edit)
    if found is not None:
        yield found


def _unused(trace: Trace, name: str, method: bool) -> bool:
    """Whether a function is called, and nothing but calls whose result is dropped reads it."""
    nodes = [each for text in trace.sources.values() for each in nodes_in(text)]
    read = [e for e in nodes if name == getattr(e, "attr" if method else "id", "")]
    dropped = [
        each.value.func
        for each in nodes
        if isinstance(each, ast.Expr | ast.Assign) and isinstance(each.value, ast.Call)
        if isinstance(each, ast.Expr) or all(_is_data(target) for target in each.targets)
    ]
    return bool(read) and all(any(each is one for one in dropped) for each in read)


def _is_data(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "data"
