"""Which parameters the losses of a run reach, and which they reach no more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphlab.trace.model import Backward, Trace
from graphlab.trace.module_sightings import OneNetwork

# How many backwards of a loss tell that only the first one reaches a parameter.
_TURNS = 3


def reached(trace: Trace) -> dict[str, set[int]]:
    """For each loss the parameters that it was seen to reach."""
    found: dict[str, set[int]] = {}
    # Within another backward, that of a custom Function say, the gradients are the outer one's.
    ran = [each for each in trace.events if isinstance(each, Backward)]
    inner = {(each.loss, each.at) for each in ran if each.raised is None and not each.reached}
    for event in ran:
        ahead = () if (event.loss, event.at) in inner else event.leads_to
        found.setdefault(event.loss, set()).update(event.reached, ahead)
    return found


def reached_by_any(trace: Trace) -> set[int]:
    return {at for places in reached(trace).values() for at in places}


def given_up(before: Trace, after: Trace) -> Iterator[tuple[str, str]]:
    """(loss, parameter) for each that a loss reached in its first backward, and nothing does in any
    later one: what is computed once and detached is trained no more. A program that did so as it
    was means to."""
    told = {name for _, name in _once_reached(before)} if before.outcome == "completed" else set()
    yield from (each for each in _once_reached(after) if each[1] not in told)


def _once_reached(trace: Trace) -> Iterator[tuple[str, str]]:
    runs: dict[str, list[Backward]] = {}
    for event in trace.events:
        ran = isinstance(event, Backward) and event.raised is None
        if isinstance(event, Backward) and ran and not event.call.endswith("grad()"):
            runs.setdefault(event.loss, []).append(event)
    owned = {at for each in trace.optimizers if each.steps for at in each.owns}
    for loss, events in runs.items():
        first, turn = events[0], events[0].iteration
        later = [e for each in runs.values() for e in each if e.iteration != turn]
        if len(events) < _TURNS or turn is None or any(e.iteration == turn for e in events[1:]):
            continue
        still = {at for event in later for at in event.reached}
        for at in sorted(set(first.reached) & owned - still):
            if name := trace.tensors[at].name:
                yield loss, name


def only_asked(trace: Trace) -> set[str]:
    """What autograd.grad() alone differentiated, and nothing was trained by: its graph may lead to
    parameters, of which it was not asked."""
    ran = [each for each in trace.events if isinstance(each, Backward) and each.raised is None]
    trains = {each.loss for each in ran if each.reached or not each.call.endswith("grad()")}
    return {each.loss for each in ran} - trains


def shorter(before: Trace, after: Trace) -> str:
    """The call of the first backward of a loss that went through a larger graph before. Up to its
    first backward no graph is freed: what a detach takes from that one, it had rightly."""
    now = _first_backwards(after)
    for loss, event in _first_backwards(before).items():
        then = now.get(loss)
        if then is None or (then.iteration, then.call) != (event.iteration, event.call):
            continue
        if event.nodes is not None and then.nodes is not None and then.nodes < event.nodes:
            return event.call
    return ""


def _first_backwards(trace: Trace) -> dict[str, Backward]:
    found: dict[str, Backward] = {}
    for event in trace.events:
        if isinstance(event, Backward):
            found.setdefault(event.loss, event)
    return {loss: event for loss, event in found.items() if event.raised is None}


def frozen_apart(before: Trace, after: Trace, name: str) -> bool:
    """Whether what was frozen as `name` is frozen still under the other name of what was one
    network and is two: it was given that name, and is given a copy now."""
    frozen = {each.name for each in after.tensors if not each.requires_grad}
    for each in before.sightings:
        if isinstance(each, OneNetwork):
            for one, other in ((each.one, each.other), (each.other, each.one)):
                if name.startswith(f"{one}.") and other + name[len(one) :] in frozen:
                    return True
    for file, source in after.sources.items():
        for other, one in re.findall(r"^\s*([\w.]+) = copy\.deepcopy\(([\w.]+)\)", source, re.M):
            named = f"{other} = {one}\n" in before.sources.get(file, "")
            if named and one.rpartition(".")[2] in name.split("."):
                return True
    return False
