"""Finds backwards that ask for the gradient of an input, and leave those of parameters behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graphlab.text import lines_with_ends
from graphlab.trace.model import Backward, Location, Share, Step, Trace
from graphlab.trace.steps.sightings import AskedOfInput

# Shares of such a loss below this are not reported.
LEAST_SHARE = 0.02


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


@dataclass(frozen=True, slots=True)
class AskedBetween:
    """The gradient of `name`, an input, is read between the backward `call` and that at `at`."""

    name: str
    call: str
    at: Location


def asked_between(trace: Trace, step: Step) -> AskedBetween | None:
    """Of the last two backwards, in one function, whose gradients a step applied: the first is
    there for an input, if the program reads that one's gradient before it goes on to the second."""
    before = trace.events[: trace.events.index(step)]
    fed = [e for e in before if isinstance(e, Backward) and e.loss in step.sources and e.at]
    last = fed[-1] if fed else None
    first = next((e for e in reversed(fed) if last is not None and e.at != last.at), None)
    if first is None or last is None or first.at is None or last.at is None:
        return None
    one, other = first.at, last.at
    if (one.file, one.function) != (other.file, other.function) or one.line >= other.line:
        return None
    lines = lines_with_ends(trace.sources.get(one.file, ""))[one.line : other.line - 1]
    found = re.search(r"\b(\w+)\.grad\b(?!\s*=[^=])", "".join(lines))
    if found is None or re.search(r"parameters\(\)|\bhook", "".join(lines)):
        return None
    held = {at for each in trace.optimizers for at in each.owns}
    trained = {(trace.tensors[at].name or "").rpartition(".")[2] for at in held}
    return AskedBetween(found[1], first.call, other) if found[1] not in trained else None


def only_attacks(trace: Trace) -> set[str]:
    """The losses that are gone back from for the gradient of an input alone."""
    lines = {each.backward.at for each in left_by_attacks(trace)}
    ran = [each for each in trace.events if isinstance(each, Backward)]
    return {e.loss for e in ran if e.at in lines} - {e.loss for e in ran if e.at not in lines}


def _asked_of(trace: Trace, at: Location, stepped: Location | None) -> str:
    """The input that the backward at `at` is there for; empty where the step is in the same loop or
    function, as that is to apply the gradients of parameters."""
    for each in trace.sightings:
        if isinstance(each, AskedOfInput) and each.at == at and stepped is not None:
            inside = stepped.file == at.file and each.first <= stepped.line <= each.last
            return "" if inside else each.leaf
    return ""
