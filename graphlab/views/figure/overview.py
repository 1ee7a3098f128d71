"""Draws the overview: networks, the variables between them, losses, optimizers and problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphlab.language import say
from graphlab.trace.graph import Graph
from graphlab.views.figure.colors import Paint, Palette
from graphlab.views.figure.drawing import Arrow, Box, Drawing, Lane
from graphlab.views.figure.grouping import Group, Key, group
from graphlab.views.figure.sketch import FigureBuilder
from graphlab.views.figure.words import dims, placed, where

# The calls of a network get a lane each, up to this many.
LANES = 4
# With more boxes than this, the operations of a line without a variable share a box.
CROWDED = 18
# If there are still more than this, variables are left out.
FULL = 24


def overview(
    graph: Graph,
    palette: Palette,
    title: str,
    caption: str = "",
    order: Mapping[str, Sequence[str]] | None = None,
) -> Drawing:
    """The whole graph in few boxes, in forward order from left to right; `order` has marks for
    losses and optimizers."""
    scope = networks(graph)
    groups = group(graph, scope)
    if len(groups.groups) > CROWDED:
        lines = _by_line(graph, scope)
        groups = group(graph, scope, alias=lines)
        if len(groups.groups) > FULL:
            groups = group(graph, scope, keep_variables=False, alias=lines)
    return _Overview(graph, groups, palette, order).draw(title, caption)


def _by_line(graph: Graph, scope: dict[int, int]) -> dict[int, int]:
    """For each unnamed node outside the networks, the last such node of its line, which is drawn
    for it."""
    first: dict[object, int] = {}
    alias = {}
    reach = [graph.reached_by(root.node) for root in graph.roots]
    named = graph.variables.keys() | graph.leaves.keys() | {root.node for root in graph.roots}
    for node in graph.order():
        at = graph.places.get(node)
        if at is not None and node not in scope and node not in named:
            # A line of a helper function may run for several losses, which must not share a box.
            serves = tuple(node in each for each in reach)
            other = first.setdefault((at.file, at.line, serves), node)
            if other != node:
                alias[node] = other
    return alias


def networks(graph: Graph) -> dict[int, int]:
    """For each node inside a network, the network's call: the outermost module call, or its parts
    if different optimizers step them."""
    steppers: dict[int, set[tuple[int, ...]]] = {}
    counts = [0] * len(graph.calls)
    callers = {node: graph.callers(node) for node in graph.call_of}
    for node, around in callers.items():
        for call in around:
            counts[call] += 1
        for source in graph.inputs[node]:
            leaf = graph.leaves.get(source)
            if leaf is not None and (leaf.optimizers or (leaf.kind == "parameter" and leaf.name)):
                for call in around:
                    steppers.setdefault(call, set()).add(leaf.optimizers)
        if any(each.kind == "parameter" for each in graph.saved.get(node, ())):
            # Frozen: none of its leaves is in the graph, so no optimizer can be found for it.
            for call in around:
                steppers.setdefault(call, set())
    scope = {}
    for node, around in callers.items():
        inside = [call for call in around if call in steppers]
        while len(inside) > 1 and len(steppers[inside[0]]) > 1:
            inside.pop(0)
        if inside:
            scope[node] = inside[0]
    return scope


class _Overview(FigureBuilder):
    def draw(self, title: str, caption: str) -> Drawing:
        for keys in self._merged():
            self._add(keys)
        for source, target in self.groups.links:
            self.link(source, target)
        self.inputs()
        self.failing_path()
        self._optimizers()
        self.cut_off()
        return self.drawing(title, caption, across=True, frames=[])

    def _merged(self) -> list[list[Key]]:
        """The groups of each box. The calls of a network share one, unless one call uses the output
        of another and there is room to draw them all."""
        calls: dict[str, list[Key]] = {}
        single: dict[str, list[Key]] = {}
        for key, each in self.groups.groups.items():
            if key[0] == "module":
                calls.setdefault(each.name, []).append(key)
            elif key[0] == "variable":
                single.setdefault(each.name, []).append(key)
        together: dict[Key, list[Key]] = {}
        folded = False
        for keys in calls.values():
            chained = len(keys) > 1 and self.groups.reaches(keys, set(keys))
            if len(keys) > 1 and (not chained or len(keys) > LANES):
                folded = folded or chained
                together.update(dict.fromkeys(keys, keys))
        if folded:
            # Calls in a loop share a box, and so do the values of the variable between them.
            for keys in single.values():
                if len(keys) > LANES:
                    together.update(dict.fromkeys(keys, keys))
        found, done = [], set()
        for key in self.groups.groups:
            if key not in done:
                # In forward order.
                found.append(sorted(together.get(key, [key])))
                done.update(found[-1])
        return found

    def _add(self, keys: list[Key]) -> None:
        box, nodes = self.box(keys)
        if keys[0][0] == "module":
            self._describe_module(box, [self.groups.groups[key] for key in keys], nodes)
        for lane, key in enumerate(keys):
            self.box_of[key] = box.key, lane if box.lanes else None

    def _describe_module(self, box: Box, groups: list[Group], nodes: list[int]) -> None:
        graph = self.graph
        calls = [graph.calls[each.key[1]] for each in groups]
        leaves = [graph.leaves[node] for node in nodes if node in graph.leaves]
        weights = [leaf for leaf in leaves if (leaf.name or "").startswith(f"{box.title}.")]
        box.notes.append(calls[0].type)
        if weights:
            box.notes.append(say("figure.parameters", count=len(weights)))
        places = [where(call.at) for call in calls]
        if len(calls) > 1 and len(calls) <= LANES and not self._loop(groups):
            box.times = 1
            box.lanes = [
                Lane(self._lane(place or say("figure.call", number=at), each))
                for at, (place, each) in enumerate(zip(places, groups, strict=True), 1)
            ]
        elif len(calls) == 1:
            again = sum(1 for other in self.groups.groups.values() if other.name == box.title) > 1
            text = say("figure.call", number=calls[0].number) if again else ""
            box.notes += [each for each in (text, places[0]) if each]
        box.tooltip = "\n".join(
            [say("figure.called", module=box.title, type=calls[0].type, count=len(calls))]
            + [f"{leaf.name} {dims(leaf.shape)} {leaf.dtype}" for leaf in weights]
            + [place for place in places if place]
        )

    def _lane(self, text: str, group: Group) -> str:
        """The text of a call's lane, with the version of the weights that it saved."""
        versions = {
            each.saved_version
            for node in group.nodes
            for each in self.graph.saved.get(node, ())
            if each.kind == "parameter" and each.saved_version is not None
        }
        if not versions:
            return text
        ends = dict.fromkeys((min(versions), max(versions)))
        return say("figure.lane", lane=text, versions="–".join(f"v{each}" for each in ends))

    def _loop(self, groups: list[Group]) -> bool:
        keys = {each.key for each in groups}
        return self.groups.reaches(keys, keys)

    def _optimizers(self) -> None:
        graph = self.graph
        owned: dict[int, dict[Key, None]] = {}
        for node, leaf in graph.leaves.items():
            for at in leaf.optimizers:
                owned.setdefault(at, {})[self.groups.of_node[node]] = None
        found = self.failed_backward
        for at, keys in owned.items():
            each = graph.optimizers[at]
            box = Box(f"o{at}", each.name, "optimizer", self.palette.paint(()), [each.type])
            box.notes += self.order.get(each.name, ())
            box.tooltip = f"{each.name} ({each.type})"
            if self.palette.overlay == "optimizer":
                fill, border = self.palette.hue(each.name)
                box.paint = Paint((fill,), border)
            self.boxes[box.key] = box
            for key in keys:
                name = self.box_of[key][0]
                arrow = self.arrows.setdefault(
                    (box.key, None, name, None), Arrow(box.key, name, "steps")
                )
                guilty = found is not None and found.saved.by == f"{each.name}.step()"
                if guilty and found is not None and self.boxes[name].red and not box.red:
                    arrow.red = box.red = True
                    box.alarms.append(placed("② step()", found.saved.at))
                    box.alarms += self._written()
                elif guilty and self.boxes[name].red:
                    arrow.red = True
