"""Repair of a statement that throws away what it computes: it writes in place, or stores it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ResultDiscarded

# Where a gradient may be meant to flow through an update of weights, a write is not what is meant.
_THROUGH = ("create_graph", "functional_call", "torch.func")
_OFF = ("no_grad", "inference_mode", "set_grad_enabled")


def written(trace: Trace, each: ResultDiscarded) -> Iterator[Help]:
    """The statement in place; once more under ``torch.no_grad()``, for a parameter refuses it."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or statement is None or statement not in file.body(statement):
        return
    if hasattr(statement, "body") or not _is_statement(each.written):
        return
    if each.rebound and any(word in file.source for word in _THROUGH):
        return
    indent, (start, end) = " " * statement.col_offset, file.whole(statement)
    plain = f"{indent}{each.written}\n"
    off = f"{indent}with torch.no_grad():\n{indent}    {each.written}\n"
    ways = [] if each.rebound and not _without_graph(file, statement) else [plain]
    if not each.stored and not _without_graph(file, statement):
        ways.append(off)
    for new in ways:
        key = "stored" if each.stored else "written"
        found = file.help(message(f"repairs.trained.{key}"), (start, end, new))
        if found is not None:
            yield found


def _is_statement(text: str) -> bool:
    try:
        return len(ast.parse(text).body) == 1
    except SyntaxError:
        return False


def _without_graph(file: Rewriting, statement: ast.stmt) -> bool:
    """Whether gradients are off where it stands, as far as its own function tells."""
    for each in file.around(statement):
        if isinstance(each, ast.With):
            said = " ".join(file.text(item.context_expr) for item in each.items)
        elif isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            return any(word in file.text(one) for one in each.decorator_list for word in _OFF)
        else:
            continue
        if any(word in said for word in _OFF):
            return True
    return False
