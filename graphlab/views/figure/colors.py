"""Chooses the colours of a graph's figure: by owner, optimizer, loss, version or memory.

The hues are Okabe and Ito's, which colour-blind readers can tell apart. No information is in the
colour alone: boxes have names, and problems have thick borders and a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from graphlab.language import say
from graphlab.trace.graph import NONE, Graph, Root, SavedTensor

Overlay = Literal["owner", "optimizer", "loss", "version", "memory"]
OVERLAYS: tuple[Overlay, ...] = ("owner", "optimizer", "loss", "version", "memory")


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a figure as hex codes. `hues` are (fill, border) pairs; `heat` runs from few
    to many bytes."""

    background: str
    ink: str
    faint: str
    line: str
    plain: str
    alarm: str
    alarm_fill: str
    hues: tuple[tuple[str, str], ...]
    heat: tuple[str, ...]


LIGHT = Theme(
    "#ffffff", "#1b1f24", "#57606a", "#6e7781", "#f6f8fa", "#c8102e", "#fde4e4",
    (("#cfe4f5", "#0072b2"), ("#ccecdf", "#00805e"), ("#fbf3c2", "#8a7b00"),
     ("#f3dcea", "#a4487f"), ("#fbe3c4", "#a86400"), ("#dde1e6", "#57606a")),
    ("#f6f8fa", "#e9f0d4", "#d8e6b2", "#c3d98e", "#aaca6e", "#90b957"),
)  # fmt: skip
DARK = Theme(
    "#0d1117", "#f0f3f6", "#9ea7b3", "#8b949e", "#1c2229", "#ff6b6b", "#4a1a20",
    (("#12395a", "#56b4e9"), ("#0f4034", "#35c79c"), ("#453d0c", "#f0e442"),
     ("#4a2440", "#e39ac6"), ("#4d3210", "#e69f00"), ("#2d333b", "#9ea7b3")),
    ("#1c2229", "#22301e", "#2b4222", "#355429", "#3f6630", "#4a7a38"),
)  # fmt: skip
THEMES = {"light": LIGHT, "dark": DARK}


@dataclass(frozen=True, slots=True)
class Paint:
    """The colours of a box; several `fills` are shown side by side."""

    fills: tuple[str, ...]
    border: str

    @property
    def color(self) -> str:
        """The fills as a Graphviz colour list."""
        return ":".join(self.fills)


class Palette:
    """Gives colours to sets of a graph's nodes, and the legend for the colours given so far."""

    def __init__(self, graph: Graph, overlay: Overlay, theme: Theme) -> None:
        self.graph = graph
        self.overlay = overlay
        self.theme = theme
        # The names whose colour was used: the legend shows only these.
        self._seen: set[str] = set()
        self._shared = False
        self._painted: dict[tuple[str, ...], Paint] = {}

    def paint(self, nodes: Iterable[int]) -> Paint:
        """The colours of a box that stands for `nodes`."""
        nodes = tuple(nodes)
        if self.overlay == "memory":
            return self._heat(sum(self.saved_bytes(node) for node in nodes))
        if self.overlay == "version":
            return self._verdict(nodes)
        return self._mixed(tuple(dict.fromkeys(n for node in nodes for n in self._names(node))))

    def paint_node(self, node: int) -> Paint:
        """As `paint`, for one node."""
        if self.overlay in ("memory", "version"):
            return self.paint((node,))
        return self._mixed(self._names(node))

    def _mixed(self, names: tuple[str, ...]) -> Paint:
        known = self._painted.get(names)
        if known is None:
            known = self._painted[names] = self._blend(names)
        return known

    def _blend(self, names: tuple[str, ...]) -> Paint:
        if not names:
            return Paint((self.theme.plain,), self.theme.line)
        hues = [self._hue(name) for name in sorted(dict.fromkeys(names), key=self._rank)][:3]
        self._shared = self._shared or len(hues) > 1
        return Paint(tuple(fill for fill, _ in hues), hues[0][1])

    def legend(self) -> list[tuple[str, Paint]]:
        """The entries (text, colours) of the legend, for the colours used so far."""
        theme = self.theme
        if self.overlay == "memory":
            top = max(self._bytes_seen, default=0)
            steps = len(theme.heat)
            return [
                (f"≤ {size_text(round(top * (at + 1) / steps))} saved", Paint((fill,), theme.line))
                for at, fill in enumerate(theme.heat)
                if top and at in (0, steps // 2, steps - 1)
            ]
        if self.overlay == "version":
            return [(name, paint) for name, paint in self._verdicts.items() if name in self._seen]
        word = {"owner": "", "optimizer": "stepped by ", "loss": "reached by "}[self.overlay]
        entries = [
            (f"{word}{name}", Paint((self._hue(name)[0],), self._hue(name)[1]))
            for name in sorted(self._seen, key=self._rank)
        ]
        if self.overlay != "owner" and self._shared:
            hues = [self._hue(name) for name in sorted(self._seen, key=self._rank)[:2]]
            entries.append(("both", Paint(tuple(fill for fill, _ in hues), hues[0][1])))
        return entries

    def saved_bytes(self, node: int) -> int:
        """The bytes of activations that a node saved. Parameters are left out, as they exist
        anyway; so are activations that an earlier node saved."""
        return self._saved_bytes.get(node, 0)

    def weight(self, node: int) -> float:
        """The width of a node by its saved bytes, from 0 to 1: the square root of their ratio to
        the largest node's."""
        top = max(self._saved_bytes.values(), default=0)
        return (self.saved_bytes(node) / top) ** 0.5 if top else 0.0

    def hue(self, name: str) -> tuple[str, str]:
        """The (fill, border) of a loss, an optimizer or a network; plain colours if the overlay is
        of another sort."""
        if name in self._all_names:
            return self._hue(name)
        return self.theme.plain, self.theme.line

    def _rank(self, name: str) -> int:
        return self._all_names.get(name, len(self._all_names))

    def _hue(self, name: str) -> tuple[str, str]:
        self._seen.add(name)
        hues = self.theme.hues
        at = self._all_names.get(name, len(hues) - 1)
        return hues[at] if at < len(hues) else hues[-1]

    @cached_property
    def _all_names(self) -> dict[str, int]:
        """The number of every name of this overlay, by which it gets its hue."""
        graph = self.graph
        if self.overlay == "owner":
            owners = {leaf.owner for leaf in graph.leaves.values()}
            owners |= {
                each.owner
                for saved in graph.saved.values()
                for each in saved
                if each.kind == "parameter"
            }
            first = [call.module for call in graph.calls]
            leaves = [leaf.owner for leaf in graph.leaves.values() if leaf.owner]
            # A module without parameters, such as a loss, has no colour.
            names = [*(each for each in dict.fromkeys(first) if each in owners), *leaves]
            return _by_name(names, len(self.theme.hues) - 1)
        elif self.overlay == "optimizer":
            names = [each.name for each in graph.optimizers]
        elif self.overlay == "loss":
            names = [each.name for each in graph.roots]
        else:
            names = []
        return {name: at for at, name in enumerate(dict.fromkeys(names))}

    def _names(self, node: int) -> tuple[str, ...]:
        graph = self.graph
        if self.overlay == "loss":
            return tuple(root.name for root, seen in self._reach if node in seen)
        leaf = graph.leaves.get(node)
        if self.overlay == "owner":
            if leaf is not None:
                return (leaf.owner,) if leaf.owner else ()
            call = graph.call_of.get(node)
            return self._owners[call] if call is not None else ()
        steps = leaf.optimizers if leaf is not None else self._steppers.get(node, ())
        return tuple(graph.optimizers[at].name for at in steps)

    @cached_property
    def _owners(self) -> list[tuple[str, ...]]:
        """For each call, the network that it is or is part of, if that has a colour."""
        found: list[tuple[str, ...]] = []
        for call in self.graph.calls:
            if call.module in self._all_names:
                found.append((call.module,))
            else:
                found.append(found[call.parent] if call.parent != NONE else ())
        return found

    @cached_property
    def _reach(self) -> list[tuple[Root, set[int]]]:
        return [(root, self.graph.reached_by(root.node)) for root in self.graph.roots]

    @cached_property
    def _steppers(self) -> dict[int, tuple[int, ...]]:
        """The optimizers of each node in a module: those of the parameters used by the module call,
        or else by a call around it."""
        graph = self.graph
        of_call: dict[int, dict[int, None]] = {}
        for edge in graph.edges():
            leaf = graph.leaves.get(edge.source)
            if leaf is not None:
                for call in graph.callers(edge.node):
                    of_call.setdefault(call, {}).update(dict.fromkeys(leaf.optimizers))
        return {
            node: tuple(of_call.get(call, ())) or self._outer(call, of_call)
            for node, call in graph.call_of.items()
        }

    def _outer(self, call: int, of_call: dict[int, dict[int, None]]) -> tuple[int, ...]:
        while call != NONE:
            if of_call.get(call):
                return tuple(of_call[call])
            call = self.graph.calls[call].parent
        return ()

    @cached_property
    def _saved_bytes(self) -> dict[int, int]:
        found: dict[int, int] = {}
        counted: set[int] = set()
        for node, saved in self.graph.saved.items():
            for each in saved:
                held = each.state != "freed" and each.kind not in ("parameter", "buffer")
                if held and (each.storage is None or each.storage not in counted):
                    found[node] = found.get(node, 0) + each.bytes
                    if each.storage is not None:
                        counted.add(each.storage)
        return found

    @cached_property
    def _bytes_seen(self) -> list[int]:
        return []

    def _heat(self, size: int) -> Paint:
        """The colour for `size` bytes. The scale ends at the largest node, and boxes of several
        nodes may exceed it."""
        top = max(self._saved_bytes.values(), default=0)
        self._bytes_seen.append(min(size, top))
        heat = self.theme.heat
        at = min(len(heat) - 1, size * len(heat) // (top + 1)) if top else 0
        return Paint((heat[at],), self.theme.line)

    @cached_property
    def _verdicts(self) -> dict[str, Paint]:
        theme = self.theme
        return {
            "written since it was saved": Paint((theme.alarm_fill,), theme.alarm),
            "freed": Paint((theme.hues[-1][0],), theme.hues[-1][1]),
            "saved tensors as they were": Paint((theme.hues[0][0],), theme.hues[0][1]),
            "nothing saved": Paint((theme.plain,), theme.line),
        }

    def _verdict(self, nodes: Iterable[int]) -> Paint:
        states = {each.state for node in nodes for each in self.graph.saved.get(node, ())}
        if states & {"stale", "bypassed"}:
            name = "written since it was saved"
        elif "freed" in states:
            name = "freed"
        else:
            name = "saved tensors as they were" if states else "nothing saved"
        self._seen.add(name)
        return self._verdicts[name]


def _by_name(names: Iterable[str], hues: int) -> dict[str, int]:
    """A hue for each network that follows from its name, so that it has the same one in every
    figure; the next free one where two names meet, and the last of all where none is free."""
    found: dict[str, int] = {}
    free = set(range(hues))
    for name in sorted(set(names)):
        # The factor and the offset mean nothing: they give short names that differ other hues.
        start = (sum(map(ord, name)) * 3 + 2) % hues
        found[name] = next((at for n in range(hues) if (at := (start + n) % hues) in free), hues)
        free.discard(found[name])
    return found


def size_text(size: int) -> str:
    """Bytes in a readable unit, such as ``1.5 MB``."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"


def badge(saved: SavedTensor) -> str:
    """The text for a stale, bypassed or freed tensor: ``D.4.weight: saved at version 1, now 2``."""
    name = saved.tensor or say("figure.alarm.a_tensor", shape=list(saved.shape))
    if saved.state == "freed":
        return say("figure.alarm.gone", name=name)
    if saved.state == "bypassed":
        return say("figure.alarm.behind", name=name)
    if saved.saved_version is None:
        return say("figure.alarm.earlier", name=name, now=saved.version)
    return say("figure.alarm.saved", name=name, saved=saved.saved_version, now=saved.version)
