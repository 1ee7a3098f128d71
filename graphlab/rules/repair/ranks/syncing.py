"""Repairs of accumulation under no_sync(): the backward before a step is the one to average."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# How fully_shard is told whether to average, with what it is told first.
SET_SYNC = "set_requires_gradient_sync"


def synced_with_the_step(
    trace: Trace, cause: Location | None, backward: Location | None, step: Location | None
) -> Help | None:
    """Of ``model.no_sync() if … else nullcontext()`` at `cause`, or an ``if`` whose branches are
    with it and without: take the condition of the step in its place, or the other branch."""
    file = Rewriting.of(trace, cause)
    if file is None or cause is None or backward is None or step is None:
        return None
    statement = file.statement(cause.line)
    choices = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.IfExp) and _pauses(each.body) != _pauses(each.orelse)
    ]
    if statement is None or cause.file != step.file:
        return None
    if not choices:
        return _other_branch(file, statement)
    choice = choices[0]
    whole = file.text(choice)
    body, orelse = file.text(choice.body), file.text(choice.orelse)
    test = _condition(file, statement, step)
    if test is not None and test != file.text(choice.test):
        plain, paused = (orelse, body) if _pauses(choice.body) else (body, orelse)
        new = f"{plain} if {test} else {paused}"
        text = message("repairs.wrapped.no_sync_but", test=test)
    else:
        new = f"{orelse} if {file.text(choice.test)} else {body}"
        text = message("repairs.wrapped.no_sync_other")
    return file.help(text, (*file.span(choice), new)) if new != whole else None


def _pauses(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == "no_sync" for n in ast.walk(node))


def _condition(file: Rewriting, guard: ast.stmt, step: Location) -> str | None:
    """The condition of the step that follows in the same body, of which nothing changes between."""
    body = file.body(guard)
    after = body[body.index(guard) :] if body else []
    stepping = [each for each in after if each.lineno <= step.line <= (each.end_lineno or 0)]
    if not stepping or not isinstance(stepping[0], ast.If) or stepping[0].orelse:
        return None
    test = stepping[0].test
    read = {each.id for each in ast.walk(test) if isinstance(each, ast.Name)}
    bound = {
        each.id
        for one in after[: after.index(stepping[0])]
        for each in ast.walk(one)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    return None if read & bound else file.text(test)


def _other_branch(file: Rewriting, statement: ast.stmt) -> Help | None:
    """Negate the condition under which a ``with model.no_sync()`` stands, whose other branch does
    the same without."""
    holder = file.parents.get(id(statement))
    if not isinstance(statement, ast.With) or not isinstance(holder, ast.If) or not holder.orelse:
        return None
    if _pauses(ast.Module(holder.body, [])) == _pauses(ast.Module(holder.orelse, [])):
        return None
    test = file.text(holder.test)
    negated = test.removeprefix("not ") if test.startswith("not ") else f"not ({test})"
    text = message("repairs.wrapped.no_sync_other")
    return file.help(text, (*file.span(holder.test), negated))


def paused_but_the_last(trace: Trace, cause: Location | None, step: Location | None) -> Help | None:
    """Let a wrapper's flag, which is assigned or set by a call at `cause`, be true where the step
    follows: in the last turn of the loop that ends before it, or in every one."""
    file = Rewriting.of(trace, cause)
    statement = file.statement(cause.line) if file is not None and cause is not None else None
    flag = _flag(statement) if statement is not None else None
    if file is None or statement is None or flag is None or step is None:
        return None
    new = _condition(file, statement, step) or "True"
    loop = file.parents.get(id(statement))
    if isinstance(loop, ast.For) and step.line > (loop.end_lineno or 0):
        over = loop.iter if isinstance(loop.iter, ast.Call) else None
        plain = over is not None and ast.unparse(over.func) == "range" and len(over.args) == 1
        if over is not None and plain and isinstance(loop.target, ast.Name):
            new = f"{loop.target.id} == {file.text(over.args[0])} - 1"
    text = message("repairs.wrapped.no_sync_but", test=new)
    return file.help(text, (*file.span(flag), new))


def _flag(statement: ast.stmt) -> ast.expr | None:
    """What says in a statement whether the next backward averages."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        named = isinstance(target, ast.Attribute) and target.attr == "require_backward_grad_sync"
        return statement.value if named else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or ast.unparse(call.func).rpartition(".")[2] != SET_SYNC:
        return None
    given = [*call.args[:1], *(e.value for e in call.keywords if e.arg == "requires_gradient_sync")]
    return given[0] if given else None
