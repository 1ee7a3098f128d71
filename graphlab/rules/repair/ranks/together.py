"""Repairs of ranks that go different ways: let them decide together, or wait for the last one."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.rules.repair.ranks.replicas import imported, wrapper_of
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_LEAVES = ast.Continue | ast.Break | ast.Return


def decided_together(trace: Trace, at: Location | None) -> Help | None:
    """Let all ranks take the ``if`` at a line, which passes over the rest, where one of them does:
    of a condition that each computes for itself."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(statement, ast.If) or not file.body(statement):
        return None
    dist = imported(file.source).get("torch.distributed")
    torch = file.torch()
    passes = statement.body and isinstance(statement.body[-1], _LEAVES) and not statement.orelse
    if (
        dist is None
        or torch is None
        or torch[1]
        or not passes
        or "rank" in file.text(statement.test)
    ):
        return None
    taken = {getattr(each, "id", "") for each in ast.walk(file.tree)}
    name = next(
        each for each in ("any_rank", "any_rank_does", "any_of_the_ranks") if each not in taken
    )
    place, indent = file.whole(statement)[0], " " * statement.col_offset
    test = file.text(statement.test)
    text = (
        f"{indent}{name} = {torch[0]}.tensor(float({test}))\n"
        f"{indent}{dist}.all_reduce({name}, op={dist}.ReduceOp.MAX)\n"
    )
    return file.help(
        message("repairs.together.decided", test=test),
        (place, place, text), (*file.span(statement.test), name),
    )  # fmt: skip


def joined(trace: Trace, loop: Location | None) -> Help | None:
    """Put the loop at a line, of which some ranks have more turns, under ``with model.join():``."""
    file = Rewriting.of(trace, loop)
    statement = file.statement(loop.line) if file is not None and loop is not None else None
    if file is None or not isinstance(statement, ast.For) or not file.body(statement):
        return None
    name = wrapper_of(trace, statement, file)
    if not name or any("join" in file.text(each) for each in _guards(file, statement)):
        return None
    return file.help(
        message("repairs.together.joined", name=name),
        file.under(f"with {name}.join()", statement, statement),
    )


def _guards(file: Rewriting, statement: ast.stmt) -> list[ast.expr]:
    around = (each for each in file.around(statement) if isinstance(each, ast.With))
    return [item.context_expr for each in around for item in each.items]
