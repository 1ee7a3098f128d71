"""Repairs of what one rank does alone, under an ``if`` about the rank: all ranks do it."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.rules.repair.ranks.replicas import imported
from graphlab.source.places import line_place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# How programs ask which rank they are.
_ASKED = re.compile(r"rank|(is|main)_?(main|master|chief|process)|global_zero", re.IGNORECASE)
# So many functions are gone back through, from a line to the ``if`` that leads to it.
_DEPTH = 3


def names_rank(text: str) -> bool:
    """Whether a condition, as text, is about the rank."""
    return _ASKED.search(text) is not None


def on_every_rank(
    trace: Trace, at: Location, of_rank: bool = False, depth: int = _DEPTH
) -> Help | None:
    """Take the statement at `at` out of the ``if`` that it stands in, with those before it that it
    needs. of_rank: only where the condition names the rank."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None else None
    if file is None or statement is None:
        return None
    if isinstance(statement, ast.If) and statement.body[0].lineno == at.line:
        statement = statement.body[0]
    found = _holder(file, statement)
    if found is None:
        call = one_call(trace, at) if depth else None
        return on_every_rank(trace, call, True, depth - 1) if call is not None else None
    holder, top = found
    test = file.text(holder.test)
    about = names_rank(test)
    # What all ranks decide alike may stand in a function that one of them calls.
    call = one_call(trace, at) if depth and not about else None
    outside = on_every_rank(trace, call, True, depth - 1) if call is not None else None
    if outside is not None:
        return outside
    compound = hasattr(top, "body") and not (about and isinstance(top, ast.For))
    if holder.orelse or compound or (of_rank and not about):
        return None
    edits = _taken_out(file, holder, top)
    found = file.help(message("repairs.wrapped.every_rank", test=test), *edits)
    if found is None or about:
        return found
    # A condition that every rank decides for itself may be meant.
    return Help(
        found.text, found.before, found.after, found.file, found.line,
        choice=message("fix.meant.every_rank", test=test),
    )  # fmt: skip


def _holder(file: Rewriting, statement: ast.stmt) -> tuple[ast.If, ast.stmt] | None:
    """The innermost ``if`` about the rank around a statement, or else the innermost of all, and
    the statement of its body that this one is or stands in."""
    found: list[tuple[ast.If, ast.stmt]] = []
    inner = statement
    for each in file.around(statement):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            break
        # An `elif` is no statement of its own.
        if isinstance(each, ast.If) and inner in each.body and file.text(each).startswith("if"):
            found.append((each, inner))
        if isinstance(each, ast.stmt):
            inner = each
    asked = [each for each in found if names_rank(file.text(each[0].test))]
    return next(iter(asked or found), None)


def _taken_out(file: Rewriting, holder: ast.If, top: ast.stmt) -> list[tuple[int, int, str]]:
    """The edits that leave under an ``if`` about the rank what `top` does not need. What else the
    condition asks for is asked of all."""
    if holder.lineno == holder.body[0].lineno:
        alone = len(holder.body) == 1 and not _of_all(file, holder)
        return [(*file.span(holder), file.text(top))] if alone else []
    moved = _needed(holder.body, top)
    common = _of_all(file, holder)
    indent = " " * holder.col_offset
    text = f"{indent}if {common}:\n" if common else ""
    for each in moved:
        # Whose line another shares is moved with that alone.
        if not file.body(each):
            return []
        by = 0 if common else holder.col_offset - each.col_offset
        text += file.indented(each, each, by)
    start, end = file.whole(holder)
    if len(moved) == len(holder.body):
        return [(start, end, text)]
    if moved == [holder.body[-1]]:
        start = end
    return [(start, start, text), *((*file.whole(each), "") for each in moved)]


def _of_all(file: Rewriting, holder: ast.If) -> str:
    """Of ``step % 10 == 0 and rank == 0``, what is not about the rank."""
    test = holder.test
    if not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.And):
        return ""
    parts = [file.text(each) for each in test.values]
    others = [each for each in parts if not names_rank(each)]
    return " and ".join(others) if len(others) < len(parts) else ""


def _needed(body: list[ast.stmt], top: ast.stmt) -> list[ast.stmt]:
    """`top`, and the statements before it that give the names it reads a value, or call something
    of theirs."""
    moved, wanted = [top], _read(top)
    for each in reversed(body[: body.index(top)]):
        bound = {
            n.id for n in ast.walk(each) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        bound |= {alias.asname or alias.name for alias in getattr(each, "names", [])}
        call = each.value if isinstance(each, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            bound |= {_root(call.func)}
        if bound & wanted:
            moved.insert(0, each)
            wanted |= _read(each)
    return moved


def _read(statement: ast.stmt) -> set[str]:
    return {
        n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def alone_afterwards(trace: Trace, at: Location | None) -> Help | None:
    """Let every rank call the function that `at` is in, where one rank alone does so far, and the
    others leave it behind that line."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or at is None or not file.body(statement):
        return None
    inside = file.function(statement)
    call = one_call(trace, at)
    calling = file.statement(call.line) if call is not None else None
    dist = imported(file.source).get("torch.distributed")
    if inside is None or not isinstance(calling, ast.Expr) or dist is None:
        return None
    found = _holder(file, calling)
    if found is None or statement not in inside.body or inside.body[-1] is statement:
        return None
    holder, top = found
    test = file.text(holder.test)
    if holder.orelse or top is not calling or not re.fullmatch(r".*rank\w*(\(\))? == 0", test):
        return None
    place, indent = file.whole(statement)[1], " " * statement.col_offset
    leave = f"{indent}if {dist}.get_rank() != 0:\n{indent}    return\n"
    text = message("repairs.wrapped.alone_afterwards", call=file.text(calling), test=test)
    return file.help(text, (place, place, leave), *_taken_out(file, holder, top))


def one_call(trace: Trace, at: Location) -> Location | None:
    """The one call of the function that a line is in, from outside of it, or the one that this
    function is given to, as ``model.apply(init)``."""
    file = Rewriting.of(trace, at)
    inside = file.function(file.statement(at.line) or file.tree) if file is not None else None
    if file is None or inside is None:
        return None
    own = {id(each) for each in ast.walk(inside)}
    outside = [e for e in ast.walk(file.tree) if isinstance(e, ast.Call) and id(e) not in own]
    named = [e for e in outside if ast.unparse(e.func).rpartition(".")[2] == inside.name]
    given = [
        each
        for each in outside
        if any(isinstance(a, ast.Name) and a.id == inside.name for a in each.args)
    ]
    calls = [each.lineno for each in named or given]
    return line_place(at.file, calls[0], source=file.source) if len(calls) == 1 else None
