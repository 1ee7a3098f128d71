"""Repairs of gradients that are cleared in the wrong place, or not at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.left_over import is_spelled
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def cleared_elsewhere(
    trace: Trace, cleared: Location | None, stepped: Location | None = None
) -> Iterator[Help]:
    """Move the zero_grad() at `cleared` behind the step that follows it, or out of the loop that is
    run for one step; or behind the step at `stepped`, which is in another function."""
    file = Rewriting.of(trace, cleared)
    statement = file.statement(cleared.line) if file is not None and cleared is not None else None
    if file is None or not isinstance(statement, ast.Expr):
        return
    yield from _cleared_where_stepped(trace, file, statement, stepped)
    body = file.body(statement)
    after = body[body.index(statement) + 1 :] if statement in body else []
    step = next((each for each in after if ".step(" in file.text(each)), None)
    if isinstance(step, ast.Expr):
        found = file.help(message("repairs.tried.clear_applied"),
                          *file.moved(statement, step))  # fmt: skip
        if found is not None:
            yield found
    loop = file.parents.get(id(statement))
    if isinstance(loop, ast.For | ast.While) and len(loop.body) > 1:
        start, end = file.whole(statement)
        place = file.whole(loop)[0]
        text = file.indented(statement, statement, loop.col_offset - statement.col_offset)
        found = file.help(
            message("repairs.tried.clear_once"),
            (place, place, text), (start, end, ""),
        )  # fmt: skip
        if found is not None:
            yield found


def _cleared_where_stepped(
    trace: Trace, file: Rewriting, clearing: ast.Expr, stepped: Location | None
) -> Iterator[Help]:
    there = file if stepped is not None and stepped.file == file.file else None
    step = there.statement(stepped.line) if there is not None and stepped is not None else None
    called = re.match(r"([\w.]+)\.step\(", file.text(step)) if isinstance(step, ast.Expr) else None
    if step is None or called is None or file.function(step) is file.function(clearing):
        return
    if len(file.body(clearing)) < 2 or step not in file.body(step):
        return
    place = file.whole(step)[1]
    found = file.help(
        message("repairs.left_over.when_applied"),
        (*file.whole(clearing), ""),
        (place, place, f"{' ' * step.col_offset}{called[1]}.zero_grad()\n"),
    )
    if found is not None:
        yield found


def cleared_before(trace: Trace, backward: Location | None, name: str) -> Iterator[Help]:
    """Insert ``name.zero_grad()`` before a backward, where that name can be used."""
    file = Rewriting.of(trace, backward)
    statement = file.statement(backward.line) if file is not None and backward else None
    if file is None or statement is None or not is_spelled(name):
        return
    here = file.spelled(statement, name)
    if here == name and not _knows(file, statement, re.split(r"\W", name)[0]):
        return
    if statement in file.body(statement):
        place = file.whole(statement)[0]
        found = file.help(
            message("repairs.tried.clear_before"),
            (place, place, f"{' ' * statement.col_offset}{here}.zero_grad()\n"),
        )
        if found is not None:
            yield found


def _knows(file: Rewriting, statement: ast.stmt, name: str) -> bool:
    """Whether the module, or the function of the statement, gives the variable a value."""
    function = file.function(statement)
    if function is not None:
        given = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
        stored = (each for each in ast.walk(function) if isinstance(each, ast.Name))
        if name in given or any(e.id == name and isinstance(e.ctx, ast.Store) for e in stored):
            return True
    return re.search(rf"^{re.escape(name)}\b.* = ", file.source, re.M) is not None
