"""Repairs of a step in the wrong place: beside the backward that it is for, or not at all."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Step, Trace
from graphlab.trace.sightings import Fate

_CALLED = {"backward", "step", "zero_grad"}


def step_with_backward(trace: Trace, step: Location | None) -> Iterator[Help]:
    """Step only where a backward ran: move the step into the branch before it that has one, or
    leave out one that follows another."""
    file = Rewriting.of(trace, step)
    statement = file.statement(step.line) if file is not None and step is not None else None
    if file is None or statement is None or not isinstance(statement, ast.Expr):
        return
    body = file.body(statement)
    before = body[: body.index(statement)] if statement in body else []
    for each in reversed(before):
        if isinstance(each, ast.If) and ".backward(" in file.text(each):
            branch = next(
                (part for part in (each.body, each.orelse) if _backwards(file, part)), None
            )
            if branch:
                found = file.help(
                    message("repairs.tried.step_beside"),
                    *_into(file, statement, branch[-1]),
                )
                if found is not None:
                    yield found
        if isinstance(each, ast.For) and ".backward(" in file.text(each):
            break
        if ast.unparse(each) == ast.unparse(statement):
            found = file.help(message("repairs.tried.step_once"), (*file.whole(statement), ""))
            if found is not None:
                yield found


def without_step(trace: Trace, step: Location | None) -> Iterator[Help]:
    """Leave out a step that never had a gradient which another step had not applied already, with
    the loop over optimizers that has nothing else to do."""
    seen = [each for each in trace.events if isinstance(each, Step) and each.at == step]
    file = Rewriting.of(trace, step)
    statement = file.statement(step.line) if file is not None and step is not None else None
    if file is None or not isinstance(statement, ast.Expr):
        return
    whole: ast.stmt = statement
    while file.body(whole) == [whole] and isinstance(loop := file.parents[id(whole)], ast.For):
        whole = loop
    body = file.body(whole)
    # One of several optimizers may have got something new from a loss that is not its own.
    again = all(each.nothing_new or (each.leftover and whole is not statement) for each in seen)
    alone = body == [whole] and isinstance(file.parents[id(whole)], Function)
    if seen and again and any(each.nothing_new for each in seen) and (len(body) > 1 or alone):
        text = f"{' ' * whole.col_offset}pass\n" if alone else ""
        found = file.help(message("repairs.tried.step_once"), (*file.whole(whole), text))
        if found is not None:
            yield found


def stepped_too_early(
    trace: Trace, step: Location | None, backward: Location | None
) -> Help | None:
    """Move the step behind the backward, where that stands further down in the same body."""
    file = Rewriting.of(trace, step)
    if file is None or step is None or backward is None or backward.file != step.file:
        return None
    one, other = file.statement(step.line), file.statement(backward.line)
    if not isinstance(one, ast.Expr) or other is None or one.lineno >= other.lineno:
        return None
    if other not in file.body(one):
        return None
    return file.help(message("repairs.tried.step_after"), *file.moved(one, other))


def stepped_before_clearing(trace: Trace, fate: Fate) -> Iterator[Help]:
    """``optimizer.step()`` before the ``optimizer.zero_grad()`` that clears what the backward gave,
    and before the scheduler's step: in another function than that backward, or further down."""
    at, backward = fate.cleared, fate.at
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or not isinstance(call, ast.Call):
        return
    func = call.func
    body = file.body(statement)
    if not isinstance(func, ast.Attribute) or func.attr != "zero_grad" or statement not in body:
        return
    going = file.statement(backward.line) if backward and backward.file == file.file else None
    beside = going is not None and file.function(going) is file.function(statement)
    if beside and going is not None and statement.lineno < going.lineno:
        return
    first = next((each for each in body if _steps_scheduler(each)), statement)
    if first.lineno > statement.lineno:
        first = statement
    place = file.whole(first)[0]
    line = f"{' ' * first.col_offset}{file.text(func.value)}.step()\n"
    found = file.help(message("repairs.left_over.add_step"), (place, place, line))
    if found is not None:
        yield found


def _steps_scheduler(statement: ast.stmt) -> bool:
    holder, step, _ = ast.unparse(statement).partition(".step(")
    return isinstance(statement, ast.Expr) and bool(step) and "sched" in holder


def _backwards(file: Rewriting, branch: list[ast.stmt]) -> bool:
    return any(".backward(" in file.text(each) for each in branch)


def _into(file: Rewriting, statement: ast.stmt, last: ast.stmt) -> list[tuple[int, int, str]]:
    return file.moved(statement, last)


def cleared_by_hand(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """Clear the gradient of a tensor after the statement that uses it."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return
    outer: ast.stmt = statement
    for each in file.around(statement):
        if isinstance(each, ast.For | ast.While | ast.FunctionDef):
            # What a loop goes through has this name in there.
            break
        if isinstance(each, ast.With) and "no_grad" in file.text(each.items[0].context_expr):
            outer = each
            break
    place, name = file.whole(outer)[1], written_there(trace, at) or name
    found = file.help(
        message("repairs.tried.clear_used"),
        (place, place, f"{' ' * outer.col_offset}{name}.grad = None\n"),
    )
    if found is not None:
        yield found


def written_there(trace: Trace, at: Location | None) -> str:
    """What a statement that uses one gradient calls the tensor that has it; "" of another one."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    found = {
        ast.unparse(each.value)
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.Attribute) and each.attr == "grad"
    }
    return found.pop() if len(found) == 1 else ""


def clip_after_backward(
    trace: Trace, clip: Location | None, backward: Location | None
) -> Iterator[Help]:
    """Move the clipping behind the backward, further down in the same body: the only one there,
    where the clipping found no gradient that would tell which one is meant."""
    file = Rewriting.of(trace, clip)
    if file is None or clip is None:
        return
    one = _with_guard(file, file.statement(clip.line))
    backward = backward or (_only_backward(trace, file, clip, one) if one is not None else None)
    if backward is None or clip.file != backward.file:
        return
    other = file.statement(backward.line)
    if one is None or other is None or one is other or one.lineno > other.lineno:
        return
    if other in file.body(one):
        found = file.help(message("repairs.tried.clip_between"), *file.moved(one, other))
        if found is not None:
            yield found


def _with_guard(file: Rewriting, statement: ast.stmt | None) -> ast.stmt | None:
    """With the condition that it is under, where nothing else is."""
    guard = file.parents.get(id(statement))
    if isinstance(guard, ast.If) and guard.body == [statement] and not guard.orelse:
        return guard
    return statement


def _only_backward(
    trace: Trace, file: Rewriting, clip: Location, statement: ast.stmt
) -> Location | None:
    body = file.body(statement)
    found = {
        each.at.line: each.at
        for each in trace.events
        if isinstance(each, Backward) and each.at is not None and each.at.file == clip.file
        if each.at.line > clip.line and file.statement(each.at.line) in body
    }
    return next(iter(found.values())) if len(found) == 1 else None
