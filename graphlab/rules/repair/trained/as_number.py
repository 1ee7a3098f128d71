"""Repair of a target, or an advantage, that has a graph: detached where the loss takes it."""

from __future__ import annotations

from graphlab.language import message
from graphlab.source.effects.bootstraps import target_in, weight_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import TrainedAsNumber


def detached(trace: Trace, each: TrainedAsNumber) -> Help | None:
    """``(reward + gamma * value).detach()``; ``log_prob * advantage.detach()``."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or statement is None:
        return None
    weight = weight_in(statement)
    node = target_in(statement) if each.what == "target" else weight[0] if weight else None
    if node is None:
        return None
    return file.help(message(f"repairs.trained.{each.what}"), *file.followed(node, ".detach()"))
