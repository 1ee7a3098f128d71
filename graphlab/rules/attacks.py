"""Finds backwards that ask for the gradient of an input, and leave those of parameters behind."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from graphlab.source.rewriting import Rewriting
from graphlab.trace.model import Backward, Location, Share, Step, Trace

# Shares of such a loss below this are not reported.
LEAST_SHARE = 0.02
_LOOPS = (ast.For, ast.While)


@dataclass(frozen=True, slots=True)
class LeftByAttack:
    """`step` applied a `share` of the loss of `backward`, which is there for `leaf`'s gradient."""

    step: Step
    backward: Backward
    share: Share
    leaf: str


def left_by_attacks(trace: Trace) -> Iterator[LeftByAttack]:
    """One for each line with such a backward whose gradients most of the sampled steps applied, and
    another loss's beside them."""
    told: set[Location] = set()
    for event in trace.events:
        at = event.at if isinstance(event, Backward) else None
        if not isinstance(event, Backward) or at is None or at in told or not event.reached:
            continue
        told.add(at)
        mixed = [
            (step, share)
            for step in trace.events
            if isinstance(step, Step) and step.mix is not None and len(step.mix.shares) > 1
            for share in step.mix.shares
            if (share.loss, share.line) == (event.loss, at.line) and share.share >= LEAST_SHARE
        ]
        steps = [e for e in trace.events if isinstance(e, Step) and e.mix is not None]
        if not mixed or 2 * len(mixed) < len(steps):
            continue
        step, share = mixed[0]
        before = trace.events[: trace.events.index(step)]
        last = next((each for each in reversed(before) if isinstance(each, Backward)), None)
        if last is None or last.at == at:
            # No loss comes after it: the step is to apply those of the attack.
            continue
        leaf = _asked_of(trace, at, step.at)
        if leaf:
            yield LeftByAttack(step, event, share, leaf)


def only_attacks(trace: Trace) -> set[str]:
    """The losses that are gone back from for the gradient of an input alone."""
    lines = {each.backward.at for each in left_by_attacks(trace)}
    ran = [each for each in trace.events if isinstance(each, Backward)]
    return {e.loss for e in ran if e.at in lines} - {e.loss for e in ran if e.at not in lines}


def _asked_of(trace: Trace, at: Location, stepped: Location | None) -> str:
    """The variable, a leaf of its own, whose gradient the function or the inner loop around the
    backward at `at` reads; empty where the step is in there as well, as that is to apply them."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None else None
    if file is None or statement is None or stepped is None:
        return ""
    function = file.function(statement)
    scope: ast.AST | None = function
    if stepped.file == file.file:
        step = file.statement(stepped.line)
        if step is None:
            return ""
        around = {id(each) for each in file.around(step)}
        apart = [e for e in file.around(statement) if id(e) not in around]
        scope = next((e for e in apart if e is function or isinstance(e, _LOOPS)), None)
    if scope is None or any(_is_step(each) for each in ast.walk(scope)):
        return ""
    read = {
        each.value.id
        for each in ast.walk(scope)
        if isinstance(each, ast.Attribute)
        and each.attr == "grad"
        and isinstance(each.ctx, ast.Load)
        and isinstance(each.value, ast.Name)
    }
    leaves = read & {*_leaves(function or file.tree)}
    return leaves.pop() if len(leaves) == len(read) == 1 else ""


def _is_step(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("step", "parameters")


def _leaves(scope: ast.AST) -> Iterator[str]:
    """The variables that a function tells to require grad."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            names = [each.id for each in node.targets if isinstance(each, ast.Name)]
            if names and _requires_grad(node.value):
                yield from names
            for each in node.targets:
                if isinstance(each, ast.Attribute) and each.attr == "requires_grad":
                    yield ast.unparse(each.value)
        elif isinstance(node, ast.Expr) and _requires_grad(node.value):
            yield ast.unparse(node.value).partition(".")[0]


def _requires_grad(node: ast.expr) -> bool:
    """Whether it is a call that makes a leaf, or the like of ``x.requires_grad_()``."""
    if not isinstance(node, ast.Call):
        return False
    if any(each.arg == "requires_grad" for each in node.keywords):
        return True
    return isinstance(node.func, ast.Attribute) and node.func.attr == "requires_grad_"
