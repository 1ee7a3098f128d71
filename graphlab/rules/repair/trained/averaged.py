"""Repair of a moving average that is written into the wrong one of two networks."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.effects.mixing import mixed_at
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import AveragedInto


def the_other_way(trace: Trace, each: AveragedInto) -> Help | None:
    """``t.mul_(a).add_(s, alpha=1 - a)`` for ``s.mul_(a).add_(t, alpha=1 - a)``: the two variables
    of the loop change places in its body."""
    file = Rewriting.of(trace, each.at)
    found = mixed_at(file.tree, each.at.line) if file is not None and each.at is not None else None
    if file is None or found is None:
        return None
    other = {found.into: found.of, found.of: found.into}
    edits = [
        (*file.span(node), other[node.id])
        for statement in found.loop.body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and node.id in other
    ]
    return file.help(message("repairs.trained.averaged", name=each.name), *edits)
