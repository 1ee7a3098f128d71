"""What the change from one program to another does: where two recorded iterations differ."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from graphlab.language import say
from graphlab.trace.film import Film
from graphlab.trace.model import Backward, Step, Trace
from graphlab.views.player.texts.words import listing, tally
from graphlab.views.player.timeline import Timeline


class Recorded(Protocol):
    """A run with its film."""

    @property
    def trace(self) -> Trace: ...
    @property
    def film(self) -> Film: ...


# What is said of which call, and the text: ``("writes", "D_loss_.backward()", 0)``.
Facts = dict[tuple[str, str, int], str]


def changes(one: Recorded, other: Recorded) -> list[list[str]]:
    """Rows of (what, in the one run, in the other), for what differs: how the iteration ends, whose
    gradients each backward writes, at which version it needs a parameter that is written in either
    run, and which losses' gradients each optimizer applies."""
    lines = [Timeline(each.trace, each.film) for each in (one, other)]
    names = _written(lines[0]) or _written(lines[1])
    here, there = (_facts(each, names) for each in lines)
    rows = []
    for key in [*here, *(key for key in there if key not in here)]:
        kind, call, _ = key
        missing = say("player.against.not_run")
        told = [facts.get(key, missing) for facts in (here, there)]
        if told[0] != told[1]:
            what, _, name = call.partition(" ")
            rows.append([say(f"player.against.{kind}", call=what, name=name), *told])
    return rows


def _written(timeline: Timeline) -> list[str]:
    """The first parameter that a backward found written over, or else none."""
    for event in timeline.film.events:
        if isinstance(event, Backward):
            for each in event.problems:
                if each.tensor >= 0 and each.state in ("stale", "bypassed"):
                    return [timeline.names[each.tensor]]
    return []


def _facts(timeline: Timeline, names: list[str]) -> Facts:
    found: Facts = {("ends", "", 0): _end(timeline)}
    seen: Counter[str] = Counter()
    for number, event in enumerate(timeline.film.events):
        if isinstance(event, Backward):
            call = f"{event.loss}.backward()" if event.loss else event.call
            at = seen[call]
            seen[call] += 1
            reached = tally(timeline, event.reached) or say("player.against.nothing")
            if event.raised:
                reached = say("player.against.raises_call")
            found["writes", call, at] = reached
            for name in names:
                found["needs", f"{call} {name}", at] = _needed(timeline, number, event, name)
        elif isinstance(event, Step):
            call = f"{timeline.film.optimizers[event.optimizer]}.step()"
            at = seen[call]
            seen[call] += 1
            found["applies", call, at] = listing(event.sources) or say("player.against.nothing")
    return found


def _end(timeline: Timeline) -> str:
    error = timeline.trace.exception
    if error is None:
        return say("player.against.runs")
    if error.at is None:
        return say("player.against.raises_elsewhere", type=error.type)
    return say("player.against.raises", type=error.type, line=error.at.line)


def _needed(timeline: Timeline, number: int, event: Backward, name: str) -> str:
    """At which version a backward needs the tensor, and whether it still has that."""
    for each in event.problems:
        if each.tensor < 0 or timeline.names[each.tensor] != name or each.saved_version is None:
            continue
        if each.state == "bypassed":
            return say("player.against.unseen", saved=each.saved_version)
        if each.state == "stale" and each.current_version is not None:
            return say("player.against.stale", saved=each.saved_version, now=each.current_version)
    graph = timeline.film.graph
    versions = {
        each.saved_version
        for node in timeline.passages.get(number, ())
        for each in (graph.saved.get(node, ()) if graph is not None else ())
        if each.tensor == name and each.saved_version is not None
    }
    if not versions:
        return say("player.against.not_needed")
    return say("player.against.as_saved", version=max(versions))
