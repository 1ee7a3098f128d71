"""Repair of what has a graph and is to be a number: a target, an advantage, the difference of a
straight-through estimator."""

from __future__ import annotations

from graphlab.language import message
from graphlab.rules.repair.loops import isolation_edits
from graphlab.source.blocks import Block
from graphlab.source.effects.bootstraps import target_in, weight_in
from graphlab.source.effects.straight import straight_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import TrainedAsNumber
from graphlab.trace.sightings import StraightCancelled


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


def kept_apart(trace: Trace, each: TrainedAsNumber) -> Help | None:
    """``loss.backward(inputs=list(actor.parameters()))``."""
    if each.call_at is None:
        return None
    file, line = each.call_at.file, each.call_at.line
    block = Block(trace.sources.get(file, ""), file, line, line)
    for groups in (False, True):
        edits = [edit for edit in isolation_edits(trace, block, groups=groups) if edit.first == line]
        if edits:
            return block.help(message("repairs.trained.kept_apart", loss=each.loss), edits)
    return None


def difference_detached(trace: Trace, each: StraightCancelled) -> Help | None:
    """``x + (q - x).detach()``."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    told = straight_in(statement) if statement is not None else None
    if file is None or told is None:
        return None
    edits = file.followed(told.difference, ".detach()")
    return file.help(message("repairs.trained.difference", name=each.kept), *edits)
