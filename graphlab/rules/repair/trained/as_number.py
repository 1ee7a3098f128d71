"""Repair of what has a graph and is to be a number: a target, an advantage, the difference of a
straight-through estimator."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.loops import isolation_edits
from graphlab.source.blocks import Block
from graphlab.source.effects.bootstraps import target_in, weight_in
from graphlab.source.effects.straight import straight_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace
from graphlab.trace.module_sightings import TrainedAsNumber
from graphlab.trace.sightings import StraightCancelled

_OLD = re.compile(r"(^|_)(old|prev|previous|behaviou?r|ref|reference)(_|$)", re.IGNORECASE)


def detached(trace: Trace, each: TrainedAsNumber) -> Help | None:
    """``(reward + gamma * value).detach()``; ``log_prob * advantage.detach()``. A copy that makes
    the target would stay in its optimizer: it is frozen instead."""
    if each.what == "copy":
        return _frozen(trace, each)
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or statement is None:
        return None
    weight = weight_in(statement)
    node = target_in(statement) if each.what == "target" else weight[0] if weight else None
    if node is None:
        return None
    return file.help(message(f"repairs.trained.{each.what}"), *file.followed(node, ".detach()"))


def _frozen(trace: Trace, each: TrainedAsNumber) -> Help | None:
    """``target.requires_grad_(False)`` behind the one statement that makes each copy."""
    names = [trace.tensors[at].name or "" for at in each.tensors]
    # What another loss trains is no mere copy.
    others = {
        at
        for event in trace.events
        if isinstance(event, Backward) and event.loss != each.loss
        for at in event.reached
    }
    file = Rewriting.of(trace, each.at)
    if file is None or not all(names) or others & {*each.tensors}:
        return None
    held = {at for optimizer in trace.optimizers for at in optimizer.owns}
    trained = [trace.tensors[at].name or "" for at in held - {*each.tensors}]
    made = dict[str, ast.Assign]()
    for node in ast.walk(file.tree):
        said = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else ""
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        copies = [name for name in names if _is_of(name, said)]
        if not copies or any(_is_of(name, said) for name in trained):
            continue
        if not file.body(node):
            return None
        made[said] = node
        names = [name for name in names if name not in copies]
    if names or not made:
        return None
    ends = {said: file.whole(node)[1] for said, node in made.items()}
    edits = [
        (end, end, f"{' ' * made[said].col_offset}{said}.requires_grad_(False)\n")
        for said, end in ends.items()
    ]
    return file.help(message("repairs.trained.copy", names=[*made]), *edits)


def _is_of(name: str, said: str) -> bool:
    """``agent.target.0.weight`` is of ``self.target``."""
    part = said.removeprefix("self.")
    return name.startswith(f"{part}.") or (part != said and f".{part}." in name)


def kept_apart(trace: Trace, each: TrainedAsNumber) -> Help | None:
    """``loss.backward(inputs=list(actor.parameters()))``."""
    if each.call_at is None:
        return None
    file, line = each.call_at.file, each.call_at.line
    block = Block(trace.sources.get(file, ""), file, line, line)
    for groups in (False, True):
        edits = [
            edit for edit in isolation_edits(trace, block, groups=groups) if edit.first == line
        ]
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


def old_side_detached(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``(new - old.detach()).exp()``, where one side of the one difference, or ratio, at `at` is
    called old."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    found = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Sub | ast.Div)
    ]
    sides = [each for one in found for each in (one.left, one.right) if _is_old(each)]
    if file is None or len(found) != 1 or len(sides) != 1:
        return
    name = file.text(sides[0])
    help = file.help(
        message("repairs.trained.old", name=name), *file.followed(sides[0], ".detach()")
    )
    if help is not None:
        yield help


def _is_old(node: ast.expr) -> bool:
    """Whether a name says that it is of before."""
    return isinstance(node, ast.Name | ast.Attribute) and bool(_OLD.search(ast.unparse(node)))
