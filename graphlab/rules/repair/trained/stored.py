"""Repair of a statement that throws away what it computes: it writes in place, or stores it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.effects.idle.written_to import attribute_written
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


def changed(trace: Trace, each: ResultDiscarded) -> Help | None:
    """The statement that only names a method, or compares, as the one that it was meant to be."""
    here = StatementInScope.of(trace, each.at) if each.at is not None else None
    if here is None or here.text(here.statement) != each.call:
        return None
    said = message(f"training.gl125.{each.idle}_help", written=each.written)
    return here.help(said, each.written)


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


def assigned(trace: Trace, each: ResultDiscarded) -> Iterator[Help]:
    """``m.weight = m.weight.detach().clone().normal_()`` for ``m.weight.data.normal_()``, where it
    is parametrised: torch makes of the values what it keeps."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    target = attribute_written(statement) if statement is not None else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or target is None or not isinstance(call, ast.Call):
        return
    name, func = file.text(target), call.func
    copy = f"{name}.detach().clone()"
    given = [file.text(one) for one in call.args] + [file.text(one) for one in call.keywords]
    if isinstance(func, ast.Attribute) and file.text(func.value).startswith(name):
        made = f"{copy}.{func.attr}({', '.join(given)})"
    else:
        made = f"{file.text(func)}({', '.join([copy, *given[1:]])})"
    indent = " " * statement.col_offset
    test = f'torch.nn.utils.parametrize.is_parametrized({file.text(target.value)}, "{target.attr}")'
    text = (
        f"{indent}if {test}:\n{indent}    {name} = {made}\n"
        f"{indent}else:\n{indent}    {file.text(statement)}\n"
    )
    found = file.help(
        message("repairs.trained.assigned", name=name), (*file.whole(statement), text)
    )
    if found is not None:
        yield found
