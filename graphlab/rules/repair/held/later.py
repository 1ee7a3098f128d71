"""Repair of a change of parameters between a forward and its backward: change them after it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, leads
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace


def written_later(trace: Trace, written: Location | None, event: Backward) -> Iterator[Help]:
    """Move the statement that makes the write at `written`, itself or by what it calls, behind the
    backward, and behind the step that follows that."""
    file = Rewriting.of(trace, event.at)
    last = file.statement(event.at.line) if file is not None and event.at is not None else None
    body = file.body(last) if file is not None and last is not None else []
    if file is None or written is None or last not in body or event.handed_over:
        return
    at = body.index(last)
    names = Callers(trace, written).leading_to(written)
    for statement in reversed(body[:at]):
        if not leads(file, statement, written, names):
            continue
        place = _step_after(file, body, at)
        between = body[body.index(statement) + 1 : body.index(place) + 1]
        bound, read = bound_names(statement), read_names(statement)
        if not any(read_names(each) & bound or bound_names(each) & read for each in between):
            found = file.help(
                message("repairs.held.later", line=place.lineno), *file.moved(statement, place)
            )
            if found is not None:
                yield found
        return


def saved_after(trace: Trace, saved: Location | None, written: Location | None) -> Iterator[Help]:
    """Move the statement by which the tensor was saved behind the one that wrote it, where they
    stand in one body."""
    file = Rewriting.of(trace, written)
    last = file.statement(written.line) if file is not None and written is not None else None
    body = file.body(last) if file is not None and last is not None else []
    if file is None or saved is None or last not in body:
        return
    names = Callers(trace, saved).leading_to(saved)
    before = body[: body.index(last)]
    for statement in reversed(before):
        if not isinstance(statement, ast.Assign) or not leads(file, statement, saved, names):
            continue
        bound, read = bound_names(statement), read_names(statement)
        between = [*before[before.index(statement) + 1 :], last]
        if not any(read_names(each) & bound or bound_names(each) & read for each in between):
            found = file.help(
                message("repairs.tried.compute_after", names=sorted(bound), line=last.lineno),
                *file.moved(statement, last),
            )
            if found is not None:
                yield found
        return


def _step_after(file: Rewriting, body: list[ast.stmt], backward: int) -> ast.stmt:
    """The step that follows the backward before any other, or the backward itself."""
    for each in body[backward + 1 :]:
        text = file.text(each)
        if "backward(" in text or hasattr(each, "body"):
            break
        if ".step(" in text:
            return each
    return body[backward]
