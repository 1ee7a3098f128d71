"""Builds drawings for the overview and the module level: boxes, links and the failing path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from graphlab.language import say
from graphlab.trace.graph import NONE, Graph
from graphlab.views.figure.colors import Paint, Palette, badge, size_text
from graphlab.views.figure.drawing import Arrow, Box, Drawing, Frame
from graphlab.views.figure.grouping import Groups, Key, failed_backward, nodes_with_stale_saved
from graphlab.views.figure.words import dims, placed, where

# At most this many named inputs are drawn for a box.
INPUTS = 3


class FigureBuilder:
    """A drawing under construction. `box_of` has the key of the box, and the lane in it, that draws
    each group."""

    def __init__(
        self,
        graph: Graph,
        groups: Groups,
        palette: Palette,
        order: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.graph, self.groups, self.palette = graph, groups, palette
        self.failed_backward = failed_backward(graph)
        # Where every backward succeeded, what is stale was written later and harms nothing.
        harmed = self.failed_backward is not None or any(not root.call for root in graph.roots)
        self.bad = nodes_with_stale_saved(graph) if harmed else {}
        # A failing path has marks of its own.
        self.order = order or {} if self.failed_backward is None else {}
        self.box_of: dict[Key, tuple[str, int | None]] = {}
        self.boxes: dict[str, Box] = {}
        self.arrows: dict[tuple[str, int | None, str, int | None], Arrow] = {}

    def box(self, keys: list[Key]) -> tuple[Box, list[int]]:
        """A new box for one or several groups, with its colours and alarms; and the nodes that it
        stands for."""
        groups = [self.groups.groups[key] for key in keys]
        kind, number = groups[0].key
        nodes = [node for each in groups for node in each.nodes]
        paint = self.palette.paint(nodes or [number])
        if kind in ("variable", "leaf") and self.palette.overlay == "owner":
            # Variables have no fill, so that the networks stand out.
            paint = Paint((self.palette.theme.background,), paint.border)
        box = Box(f"b{len(self.boxes)}", groups[0].name, kind, paint, times=len(keys))
        if kind != "module":
            self._describe(box, number)
        if self.palette.overlay == "memory" and nodes:
            size = sum(self.palette.saved_bytes(node) for node in nodes)
            if size:
                box.notes.append(f"{size_text(size)} saved")
        self._add_alarms(box, nodes)
        self.boxes[box.key] = box
        return box, nodes

    def _describe(self, box: Box, node: int) -> None:
        graph = self.graph
        leaf = graph.leaves.get(node)
        shape = leaf.shape if leaf is not None else graph.shapes.get(node)
        dtype = leaf.dtype if leaf is not None else graph.dtypes.get(node, "")
        if shape and box.shape != "operation":
            box.notes.append(dims(shape))
        if box.shape == "loss" and box.title in self.order:
            box.notes += self.order[box.title]
        elif box.shape == "loss":
            box.notes += [
                say("figure.backward", where=where(root.at))
                for root in graph.roots
                if root.node == node and root.at is not None and not root.raised
            ]
        at = graph.places.get(node)
        box.tooltip = "\n".join(
            each
            for each in (
                box.title,
                f"{graph.operations[node]} {dims(shape) if shape is not None else ''} {dtype}",
                f"{where(at)}: {at.code}" if at is not None else "",
            )
            if each
        )

    def _add_alarms(self, box: Box, nodes: list[int]) -> None:
        """Add an alarm for each stale tensor; the one that backward fails at comes first."""
        said: dict[str, None] = {}
        if self.failed_backward is not None and self.failed_backward.node in nodes:
            said[badge(self.failed_backward.saved)] = None
        for node in nodes:
            said.update(dict.fromkeys(badge(each) for each in self.bad.get(node, ())))
        texts = list(said)
        if texts:
            name, _, what = texts[0].rpartition(": ")
            box.alarms += [name, what]
        if len(texts) > 1:
            box.alarms.append(say("figure.more", count=len(texts) - 1))
            box.tooltip += "\n" + "\n".join(texts)

    def link(self, source: Key, target: Key) -> Arrow:
        (one, one_lane), (other, other_lane) = self.box_of[source], self.box_of[target]
        key = (one, one_lane, other, other_lane)
        known = self.arrows.get(key)
        if known is None:
            known = self.arrows[key] = Arrow(one, other, "flow", one_lane, other_lane)
            reverse = (other, other_lane, one, one_lane) in self.arrows
            if reverse or one == other:
                known.line = "again"
        return known

    def inputs(self) -> None:
        """Draw the named inputs that are not in the graph: data, and detached values."""
        values: dict[str, list[Key]] = {}
        for key, each in self.groups.groups.items():
            if key[0] in ("variable", "loss"):
                values.setdefault(each.name, []).append(key)
        for key, each in list(self.groups.groups.items()):
            names: dict[str, tuple[str, tuple[int, ...], str]] = {}
            for node in each.nodes:
                for saved in self.graph.saved.get(node, ()):
                    outside = saved.kind in ("input", "activation") and saved.tensor
                    if outside and "." not in (saved.tensor or "."):
                        names[saved.tensor or ""] = saved.kind, saved.shape, saved.dtype
            drawn = 0
            for name, (kind, shape, dtype) in names.items():
                if kind == "activation" and name in values:
                    self._detached(values[name], key)
                elif kind == "input" and name not in values and drawn < INPUTS:
                    drawn += 1
                    self._input(name, shape, dtype, key)

    def _detached(self, values: list[Key], target: Key) -> None:
        """Draw a dashed arrow from a value to the box that uses it detached."""
        if any(value == target or self.groups.reaches([value], {target}) for value in values):
            return
        if target[0] == "module" and not self.groups.reaches([target], set(values)):
            arrow = self.link(values[0], target)
            arrow.line, arrow.label = "detached", say("figure.detached")

    def _input(self, name: str, shape: tuple[int, ...], dtype: str, target: Key) -> None:
        # An identifier can be a key in DOT as it is; an expression such as batches[0] is encoded.
        key = f"i_{name if name.isidentifier() else name.encode('utf-8', 'surrogatepass').hex()}"
        if key not in self.boxes:
            paint = Paint((self.palette.theme.background,), "")
            self.boxes = {
                key: Box(key, name, "input", paint, [dims(shape)] if shape else [],
                         tooltip=say("figure.data", input=f"{name} {dims(shape)} {dtype}")),
                **self.boxes,
            }  # fmt: skip
        box, lane = self.box_of[target]
        self.arrows.setdefault((key, None, box, lane), Arrow(key, box, "flow", None, lane))

    def failing_path(self) -> None:
        """Draw the failed backward in red: its path, and numbered alarms for the save, the write
        and the call."""
        found = self.failed_backward
        if found is None:
            return
        root = self.graph.roots[found.root]
        keys: list[Key] = []
        for node in found.path:
            for key in (self.groups.exit_of[node], self.groups.of_node[node]):
                if not keys or keys[-1] != key:
                    keys.append(key)
        for key in keys:
            self.boxes[self.box_of[key][0]].red = True
        for target, source in pairwise(keys):
            if self.box_of[source][0] != self.box_of[target][0]:
                self.link(source, target).red = True
        for node, leaf in self.graph.leaves.items():
            key = self.groups.of_node[node]
            # A parameter that is a variable of its own stands beside the path, and was written.
            if key[0] == "leaf" and leaf.name is not None and leaf.name == found.saved.tensor:
                self.boxes[self.box_of[key][0]].red = True
                self.link(key, keys[-1]).red = True
        name, lane = self.box_of[keys[-1]]
        box = self.boxes[name]
        made = where(self.graph.places.get(found.node))
        version = found.saved.saved_version
        if lane is not None:
            box.lanes[lane].alarms, box.alarms = box.alarms, []
        elif made and made not in box.notes:
            box.notes.append(made)
        alarms = box.lanes[lane].alarms if lane is not None else box.alarms
        alarms[0] = f"① {alarms[0]}"
        if found.saved.state != "freed":
            # The write, at its own mark, says which version it is now.
            at = {"version": version} if version is not None else {}
            alarms[1] = say(f"figure.alarm.saved_{'at' if at else 'earlier'}", **at)
        if found.saved.by and not self._stepped_by(found.saved.by):
            by = found.saved.by
            if found.saved.state == "freed":
                by = say("figure.alarm.freed_by", by=by)
            box.alarms.append(placed(f"② {by}", found.saved.at))
            box.alarms += self._written()
        needs = say("figure.alarm.fails")
        if found.saved.state == "freed":
            needs = say("figure.alarm.gone_here")
        elif found.saved.state == "bypassed":
            needs = say("figure.alarm.uses_new")
        elif version is not None:
            needs = say("figure.alarm.needs", version=version)
        loss = self.boxes[self.box_of[keys[0]][0]]
        own = {say("figure.backward", where=where(each.at)) for each in self.graph.roots}
        loss.notes = [note for note in loss.notes if note not in own]
        call = root.call or f"{root.name}.backward()"
        loss.alarms += [placed(f"③ {call.rpartition('.')[2]}", root.at), needs]

    def _written(self) -> list[str]:
        """What the write did to the saved tensor at which the backward fails."""
        assert self.failed_backward is not None
        saved = self.failed_backward.saved
        if saved.state == "bypassed":
            return [say("figure.alarm.unseen")]
        if saved.state == "stale" and saved.version is not None:
            return [say("figure.alarm.writes", version=saved.version)]
        return []

    def _stepped_by(self, by: str) -> bool:
        return any(by == f"{each.name}.step()" for each in self.graph.optimizers)

    def drawing(self, title: str, caption: str, across: bool, frames: list[Frame]) -> Drawing:
        return Drawing(
            title,
            caption,
            self.palette.theme,
            list(self.boxes.values()),
            list(self.arrows.values()),
            frames,
            self.palette.legend() if self.palette.overlay != "owner" else [],
            across,
            {
                node: (self.box_of[key][0], self.box_of[self.groups.exit_of[node]][0])
                for node, key in self.groups.of_node.items()
                if key in self.box_of and self.groups.exit_of[node] in self.box_of
            },
        )

    def cut_off(self) -> None:
        """Draw the losses without a graph."""
        for at, root in enumerate(self.graph.roots):
            if root.node != NONE:
                continue
            box = Box(f"r{at}", root.name, "loss", self.palette.paint(()), red=bool(root.raised))
            box.alarms.append(say("figure.no_graph"))
            if root.cut is not None:
                box.alarms.append(say("figure.cut", where=where(root.cut)))
            self.boxes[box.key] = box
