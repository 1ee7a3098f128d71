"""Finds where the film's iteration made the first number that is not finite, and what has it then.

Only what is certain is said: each box that every way from there to the loss leads through, and the
parameters whose gradients were seen to have it.
"""

from __future__ import annotations

from typing import NamedTuple

from graphlab.language import say
from graphlab.trace.graph import NONE, Graph
from graphlab.trace.model import Backward, Location
from graphlab.trace.sightings import NonFinite
from graphlab.views.player.timeline import Timeline


class Reached(NamedTuple):
    """From which step on a node has such a number, and the badge that says so."""

    step: int
    node: int
    badge: str


def _in(statement: Location | None, at: Location) -> bool:
    """Whether a line is one of a statement's."""
    if statement is None or statement.file != at.file:
        return False
    return statement.line <= at.line <= statement.end_line


def spread(timeline: Timeline) -> tuple[list[Reached], dict[int, str]]:
    """The nodes that it reached, from the first on, and what is said of it at which step; nothing
    where the film is of another iteration, or the graph does not have the operation once."""
    graph, film = timeline.film.graph, timeline.film
    seen = next((each for each in timeline.trace.sightings if isinstance(each, NonFinite)), None)
    if graph is None or seen is None or seen.at is None or seen.iteration != film.iteration:
        return [], {}
    operation = seen.operation.split("Backward")[0].lower().replace("_", "")
    births = [
        node
        for node, at in graph.places.items()
        if _in(at, seen.at) and graph.operations[node].split("Backward")[0].lower() == operation
    ]
    ran = timeline.step_with(Backward, seen.call_at, seen.call)
    if len(births) != 1 or ran is None:
        return [], {}
    badge, number = say(f"player.odd.{seen.kind}"), say(f"numbers.{seen.kind}")
    after = badge if seen.kind == "nan" else say("player.odd.odd")
    told: dict[int, str] = {}
    found: list[Reached] = []
    if seen.phase == "backward":
        found.append(Reached(ran, births[0], badge))
        told[ran] = say("player.odd.derivative", number=number, operation=operation)
    elif seen.in_loss:
        mine = seen.call_at, seen.call
        roots = [each.node for each in graph.roots if (each.at, each.call) == mine]
        steps = {node: step for step, nodes in enumerate(timeline.made) for node in nodes}
        for node in _between(graph, births[0], roots[0]) if roots else ():
            if node in steps:
                found.append(Reached(steps[node], node, badge if node in births else after))
        # What came with the data was made elsewhere.
        if births[0] in steps and seen.phase != "data":
            told[steps[births[0]]] = say("player.odd.made", number=number, operation=operation)
    names = {timeline.trace.tensors[each].name for each in seen.tensors}
    leaves = [node for node, leaf in graph.leaves.items() if leaf.name and leaf.name in names]
    found += [Reached(ran, node, after) for node in leaves]
    if leaves:
        reached = say("player.odd.gradients", count=len(leaves))
        told[ran] = f"{told[ran]} {reached}" if ran in told else reached
    return sorted(found, key=lambda each: each.step), told


def _between(graph: Graph, birth: int, root: int) -> list[int]:
    """The nodes that every way from `birth` to `root` leads through."""
    order = [each for each in graph.order() if each in graph.reached_by(root)]
    down, up = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    if birth not in down:
        return []
    down[root], up[birth] = 1, 1
    for node in order:
        for source in graph.inputs[node]:
            if source != NONE:
                down[source] += down[node]
    for node in reversed(order):
        up[node] += sum(up[source] for source in graph.inputs[node] if source != NONE)
    return [each for each in order if up[each] and up[each] * down[each] == up[root]]
