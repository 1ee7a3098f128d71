"""Repairs that give the wrapper, or a checkpoint, another option."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP, Wrapped

_UNUSED = "find_unused_parameters=True"


def finds_unused(trace: Trace, tensors: tuple[int, ...]) -> Help | None:
    """Let the wrapper of these parameters look for those that a forward does not use."""
    places = [
        each.at
        for each in trace.sightings
        if isinstance(each, Wrapped) and each.kind == DDP and {*each.tensors} & {*tensors}
    ]
    at = places[0] if len(places) == 1 else None
    here = StatementInScope.of(trace, at) if at is not None else None
    if at is None or here is None:
        return None
    calls = [
        node
        for node in ast.walk(here.statement)
        if isinstance(node, ast.Call) and (node.lineno, node.col_offset + 1) == (at.line, at.column)
    ]
    text = here.text(here.statement)
    if len(calls) != 1 or text.count(old := here.text(calls[0])) != 1:
        return None
    if "static_graph=True" in old:
        new = old.replace("static_graph=True", _UNUSED)
    elif old.endswith(")") and not old.rstrip(" )").endswith(","):
        new = f"{old[:-1]}, {_UNUSED})"
    else:
        return None
    return here.help(message("repairs.wrapped.option", option=_UNUSED), text.replace(old, new))


def without_reentrance(trace: Trace, at: Location) -> Help | None:
    """Take the checkpoint at a line for one of the other kind."""
    here = StatementInScope.of(trace, at)
    if here is None:
        return None
    old, new = "use_reentrant=True", "use_reentrant=False"
    text = here.text(here.statement)
    if old not in text:
        return None
    return here.help(message("repairs.wrapped.option", option=new), text.replace(old, new))
