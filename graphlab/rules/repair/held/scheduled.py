"""Repairs of a scheduler whose optimizer was built anew, or that is stepped before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, Common
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Step, Trace
from graphlab.trace.sightings import ScheduleOff

_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def scheduled_anew(trace: Trace, step: Location | None) -> Iterator[Help]:
    """Build the scheduler behind the one line further down that gives its optimizer's variable
    another optimizer: only there if both are in one body, there as well if that is a branch."""
    file = Rewriting.of(trace, step)
    for built in ast.walk(file.tree) if file is not None else ():
        name = _scheduled(built)
        if file is None or not isinstance(built, ast.Assign) or not name:
            continue
        later = [
            each
            for each in ast.walk(file.function(built) or file.tree)
            if isinstance(each, ast.Assign)
            and file.function(each) is file.function(built)
            and each.lineno > built.lineno
            and [ast.unparse(target) for target in each.targets] == [name]
        ]
        if len(later) != 1 or not file.body(later[0]) or not file.body(built):
            continue
        last = later[0]
        edits = file.moved(built, last)
        if last not in file.body(built):
            edits = edits[1:]
        found = file.help(message("repairs.held.schedule", name=name, line=last.lineno), *edits)
        if found is not None:
            yield found


def _scheduled(statement: ast.AST) -> str:
    """The optimizer's variable, where the statement builds a scheduler of torch's."""
    call = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(call, ast.Call) or not call.args:
        return ""
    func = ast.unparse(call.func)
    known = "lr_scheduler." in func or func.endswith(("LR", "OnPlateau", "WarmRestarts"))
    given = call.args[0]
    return ast.unparse(given) if known and isinstance(given, ast.Name | ast.Attribute) else ""


def steps_in_turn(trace: Trace, off: ScheduleOff) -> Common | None:
    """Where the scheduler's step leads to the optimizer's, further down in the body of one loop, or
    of a function that a loop calls. None where each is in a loop of its own."""
    steps = [e.at for e in trace.events if isinstance(e, Step) and e.optimizer == off.optimizer]
    places = {(at.file, at.line): at for at in steps if at is not None}
    if off.at is None or len(places) != 1 or len(steps) < 2:
        return None
    step = next(iter(places.values()))
    callers = Callers(trace, step)
    for each in callers.common(off.at, step):
        looped = [node for node in each.file.around(each.first) if isinstance(node, _LOOPS)]
        held = any(each.last in ast.walk(loop) for loop in looped)
        alone = not any(isinstance(node, (ast.ClassDef, *_LOOPS)) for node in ast.walk(each.first))
        if alone and (held or each.file.function(each.first) is not None):
            return each
    return None


def scheduled_last(both: Common) -> Help | None:
    """The scheduler's step behind the statement that leads to the optimizer's."""
    first = both.first
    if not isinstance(first, ast.Expr) or not ast.unparse(first).endswith(".step()"):
        return None
    return both.file.help(
        message("repairs.held.schedule_last", line=both.last.lineno),
        *both.file.moved(first, both.last),
    )
