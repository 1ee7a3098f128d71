"""Draws the module level: the tree of module calls to a depth, with repeated blocks drawn once."""

from __future__ import annotations

from collections.abc import Hashable

from graphlab.language import say
from graphlab.trace.graph import NONE, Graph, Leaf
from graphlab.views.figure.colors import Palette
from graphlab.views.figure.drawing import Box, Drawing, Frame
from graphlab.views.figure.grouping import Groups, group
from graphlab.views.figure.sketch import FigureBuilder
from graphlab.views.figure.words import clean, dims, where

# The default depth is the greatest that gives at most this many boxes.
BOXES = 40


def modules(
    graph: Graph, palette: Palette, title: str, caption: str = "", depth: int | None = None
) -> Drawing:
    """A box for each module call at `depth` (1 is the outermost), with frames for the calls around
    it."""
    folded = FoldedCalls(graph)
    depths = [depth] if depth else range(folded.deepest, 0, -1)
    inside = folded.inside()
    groups = None
    for each in depths:
        groups = group(graph, folded.scope(each), inside=inside, alias=folded.alias)
        if len(groups.groups) <= BOXES:
            break
    assert groups is not None
    return _Modules(graph, groups, palette, folded).draw(title, caption)


class FoldedCalls:
    """The call tree with each chain of equal sibling calls folded into the first one.

    first: the call that is drawn for a call. times: how many calls a drawn one stands for. alias:
    as `first`, for nodes.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.first = list(range(len(graph.calls)))
        self.times = [1] * len(graph.calls)
        self.last_name = [call.module for call in graph.calls]
        self.alias: dict[int, int] = {}
        self.deepest = max((len(graph.callers(node)) for node in graph.call_of), default=1)
        self._own: list[list[int]] = [[] for _ in graph.calls]
        for node in sorted(graph.call_of, key=self._when):
            self._own[graph.call_of[node]].append(node)
        self._children: dict[int, list[int]] = {}
        for at, call in enumerate(graph.calls):
            self._children.setdefault(call.parent, []).append(at)
        self._fold()

    def chain(self, node: int) -> list[int]:
        """The drawn calls around a node, outermost first."""
        return [self.first[call] for call in self.graph.callers(node)]

    def scope(self, depth: int) -> dict[int, int]:
        """The call whose box each node belongs to. Nodes of a module that are in none of its drawn
        submodules are left out: they are drawn as operations."""
        cut = {}
        opened = set()
        for node in self.graph.call_of:
            chain = self.chain(node)
            cut[node] = chain[min(depth, len(chain)) - 1]
            opened.update(chain[: min(depth, len(chain)) - 1])
        return {node: call for node, call in cut.items() if call not in opened}

    def inside(self) -> set[int]:
        """Nodes that are not used outside their outermost call, so that their variables are
        local."""
        graph = self.graph
        top = {node: graph.callers(node)[0] for node in graph.call_of}
        out = {
            edge.source
            for edge in graph.edges()
            if edge.source in top and top[edge.source] != top.get(edge.node)
        }
        return set(top) - out

    def _fold(self) -> None:
        signatures = self._signatures()
        feeds = self._feeds()
        for siblings in self._children.values():
            at = 0
            while at < len(siblings):
                end = at + 1
                while (
                    end < len(siblings)
                    and signatures[siblings[end]] == signatures[siblings[at]]
                    and (siblings[end - 1], siblings[end]) in feeds
                ):
                    end += 1
                for other in siblings[at + 1 : end]:
                    self._onto(other, siblings[at])
                self.times[siblings[at]] = end - at
                self.last_name[siblings[at]] = self.graph.calls[siblings[end - 1]].module
                at = end

    def _onto(self, other: int, first: int) -> None:
        """Fold `other` into `first`, and its child calls into those of `first`."""
        stack = [(other, first)]
        while stack:
            one, kept = stack.pop()
            self.first[one] = self.first[kept]
            for node, like in zip(self._own[one], self._own[kept], strict=False):
                self.alias[node] = self.alias.get(like, like)
            mine, theirs = self._children.get(one, []), self._children.get(kept, [])
            stack += zip(mine, theirs, strict=False)

    def _signatures(self) -> list[Hashable]:
        """A value for each call, equal for calls of the same class, operations, shapes and child
        calls."""
        graph = self.graph
        found: list[Hashable] = [None] * len(graph.calls)
        numbers: dict[Hashable, int] = {}
        for at in range(len(graph.calls) - 1, -1, -1):
            inner = tuple(found[child] for child in self._children.get(at, ()))
            own = tuple((graph.operations[n], graph.shapes.get(n)) for n in self._own[at])
            whole = graph.calls[at].type, own, inner
            found[at] = numbers.setdefault(whole, len(numbers))
        return found

    def _when(self, node: int) -> int:
        return self.graph.sequences[node] if self.graph.sequences else -node

    def _feeds(self) -> set[tuple[int, int]]:
        """Pairs of sibling calls, the second of which uses an output of the first."""
        graph = self.graph
        found = set()
        for edge in graph.edges():
            if edge.source in graph.call_of and edge.node in graph.call_of:
                one, other = graph.callers(edge.source), graph.callers(edge.node)
                for left, right in zip(one, other, strict=False):
                    if left != right:
                        found.add((left, right))
                        break
        return found


class _Modules(FigureBuilder):
    def __init__(self, graph: Graph, groups: Groups, palette: Palette, folded: FoldedCalls) -> None:
        super().__init__(graph, groups, palette)
        self._folded = folded
        self._frames: dict[int, Frame] = {}
        # Each module's parameters, those of its submodules included; weights before biases.
        self._weights: dict[str, list[Leaf]] = {}
        for leaf in sorted(graph.leaves.values(), key=lambda leaf: leaf.name or "", reverse=True):
            module = (leaf.name or "").rpartition(".")[0]
            while module:
                self._weights.setdefault(module, []).append(leaf)
                module = module.rpartition(".")[0]

    def draw(self, title: str, caption: str) -> Drawing:
        graph = self.graph
        order = {}
        for key in self.groups.groups:
            box, _ = self.box([key])
            self.box_of[key] = box.key, None
            order[box.key] = len(order)
            if key[0] == "module":
                self._describe_module(box, key[1])
                self._into_frame(box.key, graph.calls[key[1]].parent)
            elif key[0] == "operation" and key[1] in graph.call_of:
                self._into_frame(box.key, graph.call_of[key[1]])
        for source, target in self.groups.links:
            arrow = self.link(source, target)
            if order[arrow.source] > order[arrow.target]:
                arrow.line = "again"
        self.inputs()
        self.failing_path()
        self.cut_off()
        # A frame around a single box adds no information.
        frames = [each for each in self._frames.values() if self._size(each) > 1]
        kept = {each.key for each in frames}
        for each in frames:
            while each.parent is not None and each.parent not in kept:
                each.parent = self._by_key(each.parent).parent
        return self.drawing(title, caption, across=False, frames=frames)

    def _describe_module(self, box: Box, at: int) -> None:
        graph, folded = self.graph, self._folded
        call = graph.calls[at]
        box.title, box.times = call.type, folded.times[at]
        # The folded calls have other weights; those of the first are listed.
        mine = self._weights.get(call.module, [])
        box.notes = [self._short(at), *box.notes]
        names = [f"{(leaf.name or '').rpartition('.')[2]} {dims(leaf.shape)}" for leaf in mine]
        box.notes += names if len(names) <= 2 else [say("figure.parameters", count=len(names))]
        box.tooltip = "\n".join(
            [f"{call.module} ({call.type}) {where(call.at)}"]
            + [f"{leaf.name} {dims(leaf.shape)} {leaf.dtype}" for leaf in mine]
            + ([box.tooltip] if box.tooltip else [])
        )

    def _path(self, at: int) -> str:
        """The module's path, such as ``encoder.layers.0 – 11`` for folded calls."""
        first, last = self.graph.calls[at].module, self._folded.last_name[at]
        if first == last:
            return first
        return f"{first} – {last.rpartition('.')[2]}"

    def _short(self, at: int) -> str:
        """The path; a long one without the part that is the title of the frame around it."""
        path, parent = self._path(at), self.graph.calls[at].parent
        around = f"{self.graph.calls[parent].module}." if parent != NONE else ""
        return path.removeprefix(around) if len(path) > 14 else path

    def _into_frame(self, box: str, parent: int) -> None:
        """Put the box or frame with the key `box` into the frame of the call `parent`."""
        if parent == NONE:
            return
        parent = self._folded.first[parent]
        if parent not in self._frames:
            call = self.graph.calls[parent]
            times = self._folded.times[parent]
            title = f"{clean(self._path(parent), 40)} ({call.type})"
            if times > 1:
                title += f" × {times}"
            if call.number > 1 or any(
                each.module == call.module and each.number > 1 for each in self.graph.calls
            ):
                title += f", {where(call.at)}"
            paint = self.palette.paint(
                node for node, each in self.graph.call_of.items() if each == parent
            )
            key = f"f{parent}"
            self._frames[parent] = Frame(key, title, paint)
            self._into_frame(key, call.parent)
        frame = self._frames[parent]
        if box.startswith("f"):
            self._by_key(box).parent = frame.key
        else:
            frame.boxes.append(box)

    def _by_key(self, key: str) -> Frame:
        return self._frames[int(key[1:])]

    def _size(self, frame: Frame) -> int:
        inner = [each for each in self._frames.values() if each.parent == frame.key]
        return len(frame.boxes) + sum(self._size(each) for each in inner)
