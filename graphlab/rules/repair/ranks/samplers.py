"""Repairs of what a DistributedSampler, or an optimizer, is told by the number of the rank."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.rules.repair.ranks.alone import names_rank
from graphlab.rules.repair.ranks.options import without
from graphlab.rules.repair.ranks.replicas import only_call
from graphlab.source.blocks import StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.inputs import OrdersApart


def one_order(trace: Trace, found: OrdersApart) -> Help | None:
    """Give the samplers of all ranks the number that is written there without the rank's."""
    name = "DistributedSampler" if found.by == "seed" else "set_epoch"
    at = found.at if found.by == "seed" else only_call(trace, name)
    here = StatementInScope.of(trace, at) if at is not None else None
    if here is None:
        return None
    calls = [
        node
        for node in ast.walk(here.statement)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name
    ]
    if len(calls) != 1:
        return None
    call = calls[0]
    given = [each.value for each in call.keywords if each.arg == found.by]
    given = given or (call.args[:1] if found.by == "epoch" else [])
    new = without_rank(given[0]) if given else None
    text, whole = here.text(here.statement), here.text(call)
    old = here.text(given[0]) if given else ""
    if found.by == "seed" and given and new is None:
        return _default_seed(trace, at)
    if new is None or text.count(whole) != 1 or whole.count(old) != 1:
        return None
    edited = text.replace(whole, whole.replace(old, here.text(new)))
    option = f"{found.by}={here.text(new)}" if found.by == "seed" else here.text(new)
    return here.help(message("repairs.wrapped.option", option=option), edited)


def _default_seed(trace: Trace, at: Location | None) -> Help | None:
    """Leave the sampler's seed out, which is computed elsewhere: the default is one for all."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    calls = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.Call) and any(e.arg == "seed" for e in each.keywords)
    ]
    edit = without(file, calls[0], "seed") if file is not None and len(calls) == 1 else None
    if file is None or edit is None:
        return None
    return file.help(message("repairs.wrapped.no_seed"), edit)


def same_settings(trace: Trace, made: Location | None) -> Help | None:
    """Give the optimizer that is made at a line the numbers that are written there without the
    rank's."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    call = getattr(statement, "value", None)
    if file is None or not isinstance(call, ast.Call):
        return None
    edits = [
        (*file.span(each.value), file.text(new))
        for each in call.keywords
        if (new := without_rank(each.value)) is not None and names_rank(file.text(each.value))
    ]
    option = ", ".join(new for *_, new in edits)
    return file.help(message("repairs.wrapped.option", option=option), *edits)


def without_rank(value: ast.expr) -> ast.expr | None:
    """The side of a sum or product in which no rank is named, if there is just one."""
    if not isinstance(value, ast.BinOp):
        return None
    sides = [each for each in (value.left, value.right) if "rank" not in ast.unparse(each).lower()]
    return sides[0] if len(sides) == 1 else None
