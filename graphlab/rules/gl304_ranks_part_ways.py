"""Ranks took different ways, and some waited for others that never came."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.forks import diversion, fork, way_out
from graphlab.rules.repair.ranks.alone import alone_afterwards, on_every_rank, one_call
from graphlab.rules.repair.ranks.evened import as_many_turns, gradients_for_all, in_one_order
from graphlab.rules.repair.ranks.replicas import PARTS
from graphlab.rules.repair.ranks.together import (
    called_before_leaving,
    decided_together,
    joined,
    past_the_wrapper,
)
from graphlab.rules.rule import Rule
from graphlab.source.places import line_place
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.joint import ranks_in_words
from graphlab.trace.ranks.sightings import Parted


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Parted):
            continue
        line = each.at.line if each.at is not None else 0
        condition = _condition(trace, each)
        waited = list(each.stops) or [ranks_in_words(each.waiting)]
        is_loop = each.how in ("loop", "left")
        what = message("ranks.gl304.the_loop") if is_loop else each.operation
        advice = f"ranks.gl304.{'loop' if is_loop else each.how}_help"
        if condition is not None and (is_loop or (each.how == "call" and each.passed)):
            advice = "ranks.gl303.skipped_help"
        yield Finding(
            *RULE.label,
            summary=message(
                f"ranks.gl304.{each.how}",
                operation=each.operation,
                line=line,
                counts=list(each.counts),
                waited=waited,
            ),
            cause=condition or Place(each.at, what),
            failed=Place(each.failed, message("ranks.gl304.waiting")),
            help=tuple(_repairs(trace, each, condition)) or (Help(message(advice)),),
            ranks=each.waiting,
            others=tuple(_left_by(trace, each) if condition is None else ()),
        )


def _left_by(trace: Trace, each: Parted) -> Iterator[Help]:
    """Of a loop that may have come to its end, or been left: leave it together, where that runs."""
    out = way_out(trace, each.at, sure=False) if each.how == "loop" else None
    together = decided_together(trace, out.at) if out is not None else None
    if together is not None:
        yield together


def _condition(trace: Trace, each: Parted) -> Place | None:
    """The condition by which ranks went different ways."""
    if each.how in ("loop", "left"):
        return way_out(trace, each.at) or _before_the_call(trace, each.at)
    if each.passed:
        return fork(trace, each.at)
    return diversion(trace, each.at) if each.how == "call" else None


def _before_the_call(trace: Trace, loop: Location | None) -> Place | None:
    """Of a loop over parameters, of which all ranks have as many: the condition by which some have
    passed over the one call of the function that it is in."""
    file = Rewriting.of(trace, loop)
    statement = file.statement(loop.line) if file is not None and loop is not None else None
    if file is None or loop is None or not isinstance(statement, ast.For):
        return None
    return (
        diversion(trace, one_call(trace, loop)) if PARTS.search(file.text(statement.iter)) else None
    )


def _loop_around(trace: Trace, at: Location | None) -> Location | None:
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    for each in file.around(statement) if file is not None and statement is not None else ():
        if isinstance(each, ast.For) and at is not None:
            return line_place(at.file, each.lineno, source=trace.sources[at.file])
    return None


def _repairs(trace: Trace, each: Parted, condition: Place | None) -> Iterator[Help]:
    """Of a call that only some ranks make, under an ``if`` of its own, or behind one; of a loop
    that some have left."""
    found = [gradients_for_all(trace, each.at), in_one_order(trace, each.at)]
    if each.how == "joined":
        found = [as_many_turns(trace, _loop_around(trace, each.at))]
    elif each.how == "loop" and condition is None:
        found = [joined(trace, each.at), as_many_turns(trace, each.at)]
    elif not any(found):
        alone = each.at if each.never and each.how == "call" else None
        found = [on_every_rank(trace, alone), alone_afterwards(trace, alone)] if alone else []
        if not any(found) and each.operation == "forward" and each.never:
            found = [past_the_wrapper(trace, each.at)]
        if not any(found) and each.never and condition is not None:
            found = [called_before_leaving(trace, each.at, condition.at)]
        if not any(found) and condition is not None:
            found = [decided_together(trace, condition.at)]
    yield from (repair for repair in found if repair is not None)


RULE = Rule("GL304", "ranks-part-ways", "warning", check)
