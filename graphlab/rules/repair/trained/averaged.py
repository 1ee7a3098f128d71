"""Repair of a moving average that is written into the wrong one of two networks."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.effects.mixing import mixed_at, part_kept
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import AveragedInto

# What is written keeps most of itself in an average, and less than this where it is the other.
HALF = 0.5


def the_other_way(trace: Trace, each: AveragedInto) -> Help | None:
    """``t.mul_(a).add_(s, alpha=1 - a)`` for ``s.mul_(a).add_(t, alpha=1 - a)``: the two variables
    of the loop change places in its body. Where what is written keeps the smaller part of itself,
    as in ``s.copy_(tau * s + (1 - tau) * t)``, the sum is right and only its place is not."""
    file = Rewriting.of(trace, each.at)
    found = mixed_at(file.tree, each.at.line) if file is not None and each.at is not None else None
    if file is None or found is None:
        return None
    other = {found.into: found.of, found.of: found.into}
    kept = [part_kept(file.tree, each, found.into) for each in found.loop.body]
    small = any(each is not None and each < HALF for each in kept)
    named = [
        node
        for statement in found.loop.body
        for node in (_written(statement) if small else ast.walk(statement))
        if isinstance(node, ast.Name) and node.id in other
    ]
    if small and (len(found.loop.body) != 1 or len(named) != 1):
        return None
    edits = [(*file.span(node), other[node.id]) for node in named]
    return file.help(message("repairs.trained.averaged", name=each.name), *edits)


def _written(statement: ast.stmt) -> list[ast.AST]:
    """What ``s.copy_(...)`` or ``s.data = ...`` writes to; of a chain of calls, nothing."""
    if isinstance(statement, ast.Assign):
        return [*ast.walk(statement.targets[0])]
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return []
    return [*ast.walk(call.func)] if call.func.attr == "copy_" else []
