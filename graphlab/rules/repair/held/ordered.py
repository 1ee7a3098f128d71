"""Repairs of a step that comes before a backward which needs the old weights: step after it, or
compute again, in the body that leads to both."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeGuard

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, Common, called, leads
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Saved, Trace

# In as many bodies, one around the other, they may be put in order.
_BODIES = 2
# What is not done twice.
_ONCE = ("backward", "step", "zero_grad", "append", "update")


def stepped_later(trace: Trace, stepped: Location | None, event: Backward) -> Iterator[Help]:
    """Move the step behind what runs the backward, which is to write the gradients of the optimizer
    alone that steps next: so each of them applies its own loss's."""
    if stepped is None or event.at is None or event.handed_over:
        return
    for each in islice(Callers(trace, stepped).common(stepped, event.at), _BODIES):
        file, step = each.file, each.first
        if not isinstance(step, ast.Expr) or not _is(step.value, "step"):
            continue
        if _same(each, event.at) or _direct(each, stepped, event.at):
            continue
        own = _receiver(file, step.value)
        cleared = [
            _receiver(file, call)
            for statement in (*each.between, each.last)
            for call in ast.walk(statement)
            if _is(call, "zero_grad")
        ]
        going = Rewriting.of(trace, event.at)
        isolated = _for_its_own(going, event.at, each) if going is not None else None
        if isolated is None or own in cleared or any(name != isolated[1] for name in cleared):
            continue
        text = message("repairs.held.step_later", by=f"{own}.step()", call=event.call)
        edits = file.moved(step, each.last)
        if going is not None and going.file == file.file:
            found = file.help(text, *edits, isolated[0])
            if found is not None:
                yield found


def stepped_behind_loop(trace: Trace, stepped: Location | None, event: Backward) -> Iterator[Help]:
    """``for name in names: opts[name].step()`` behind the loop over several losses in which each
    optimizer steps at once, though the next loss was computed before it: each backward is to write
    the gradients of its own optimizer alone."""
    file = Rewriting.of(trace, event.at)
    if file is None or stepped is None or event.at is None or stepped.file != event.at.file:
        return
    going, step = file.statement(event.at.line), file.statement(stepped.line)
    loop = file.parents.get(id(step)) if step is not None else None
    if not isinstance(loop, ast.For) or not isinstance(step, ast.Expr) or event.handed_over:
        return
    body = file.body(step)
    if going not in body or step not in body or body.index(going) > body.index(step):
        return
    call = going.value if isinstance(going, ast.Expr) else None
    if not _is(call, "backward") or not _is(step.value, "step") or loop.orelse:
        return
    own = _receiver(file, step.value)
    turn, made = bound_names(loop.target), {e for one in body for e in bound_names(one)}
    each_its_own = read_names(step.value) & turn and read_names(call) & turn
    jumps = any(isinstance(e, ast.Break | ast.Continue | ast.Return) for e in ast.walk(loop))
    if not each_its_own or jumps or (read_names(call) | read_names(step.value)) & (made - turn):
        return
    end, place = file.span(call)[1] - 1, file.whole(loop)[1]
    comma = ", " if call.args or call.keywords else ""
    inputs = f'{comma}inputs=[p for g in {own}.param_groups for p in g["params"]]'
    again = f"for {file.text(loop.target)} in {file.text(loop.iter)}:"
    indent = " " * loop.col_offset
    limited = [] if any(word.arg == "inputs" for word in call.keywords) else [(end, end, inputs)]
    found = file.help(
        message("repairs.held.step_behind_loop", by=f"{own}.step()"),
        *limited,
        (*file.whole(step), ""),
        (place, place, f"{indent}{again}\n{file.indented(step, step, 0)}"),
    )
    if found is not None:
        yield found


def _same(each: Common, at: Location) -> bool:
    """Whether the step stands where the backward does, in what both losses call."""
    return each.file.file == at.file and each.first.lineno == at.line


def _direct(each: Common, change: Location, at: Location) -> bool:
    """Whether both stand in this body, for which there are repairs of their own."""
    ends = {each.first.lineno, each.last.lineno}
    return each.file.file == change.file == at.file and ends == {change.line, at.line}


def _for_its_own(
    file: Rewriting, at: Location, each: Common
) -> tuple[tuple[int, int, str], str] | None:
    """The edit that limits the backward at `at` to the optimizer that steps after it, and the name
    of that one; None where it is limited already, or none follows."""
    statement = file.statement(at.line)
    call = getattr(statement, "value", None)
    if not _is(call, "backward") or any(word.arg == "inputs" for word in call.keywords):
        return None
    rest = each.body[each.body.index(each.last) :]
    after = [
        (node.lineno, _receiver(each.file, node))
        for one in rest
        for node in ast.walk(one)
        if _is(node, "step") and (one is not each.last or node.lineno > at.line)
    ]
    if not after:
        return None
    name = min(after)[1]
    end = file.span(call)[1] - 1
    comma = ", " if call.args or call.keywords else ""
    inputs = f'{comma}inputs=[p for g in {name}.param_groups for p in g["params"]]'
    return (end, end, inputs), name


def _is(node: ast.AST | None, method: str) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    )


def _receiver(file: Rewriting, call: ast.AST) -> str:
    func = getattr(call, "func", None)
    return file.text(func.value) if isinstance(func, ast.Attribute) else ""


def computed_again(
    trace: Trace, problems: Iterable[Saved], change: Location | None, event: Backward
) -> Iterator[Help]:
    """Repeat, behind what makes the change, the statements that computed what it makes unfit, where
    the change and the backward are in functions that one body calls."""
    if change is None or event.at is None or event.handed_over:
        return
    problems = list(problems)
    callers = Callers(trace, change)
    places = {(at.file, at.line): at for each in problems if (at := each.at) is not None}
    saved = [(at, callers.leading_to(at)) for at in places.values()]
    parts = {
        part
        for each in problems
        if each.tensor >= 0
        for part in (trace.tensors[each.tensor].name or "").split(".")
    }
    for each in islice(callers.common(change, event.at), _BODIES):
        if _direct(each, change, event.at):
            continue
        again = _again(each, saved, parts)
        if not again:
            continue
        place = each.file.whole(each.first)[1]
        text = "".join(
            each.file.indented(one, one, each.first.col_offset - one.col_offset) for one in again
        )
        by = ast.unparse(each.first).split("\n")[0]
        found = each.file.help(
            message("repairs.held.again", lines=[str(one.lineno) for one in again], by=by),
            (place, place, text),
        )
        if found is not None:
            yield found


def _again(each: Common, saved: list[tuple[Location, set[str]]], parts: set[str]) -> list[ast.stmt]:
    """The simple statements before the change that saved the tensors, and those that compute with
    what these bound, as far as the backward may need it. Empty where one of them does more."""
    unfit: set[str] = set()
    found: list[tuple[ast.stmt, bool]] = []
    for statement in each.before:
        if not isinstance(statement, ast.Assign | ast.Expr):
            continue
        saving = any(leads(each.file, statement, at, names) for at, names in saved) or any(
            isinstance(node, ast.Call) and called(node) in parts for node in ast.walk(statement)
        )
        if saving or read_names(statement) & unfit:
            found.append((statement, saving))
            unfit |= bound_names(statement)
    needed = {name for one in (*each.between, each.last) for name in read_names(one)}
    again: list[ast.stmt] = []
    for statement, saving in reversed(found):
        bound = bound_names(statement)
        # What is bound to an attribute may be read where it is not seen.
        if bound & needed or any("." in name for name in bound) or (saving and not bound):
            again.insert(0, statement)
            needed |= read_names(statement)
    once = any(_is(node, name) for one in again for node in ast.walk(one) for name in _ONCE)
    return [] if once else again
