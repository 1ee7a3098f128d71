"""Colours of a graph's figure: who owns, which optimizer steps, which loss reaches, what is stale.

The hues are Okabe and Ito's, which colour-blind readers tell apart; none of them is the only sign
of anything: names stand in the boxes, trouble is drawn thick and said in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from graphlab.trace.graph import NONE, Graph, Root, SavedTensor

Overlay = Literal["owner", "optimizer", "loss", "version", "memory"]
OVERLAYS: tuple[Overlay, ...] = ("owner", "optimizer", "loss", "version", "memory")


@dataclass(frozen=True, slots=True)
class Theme:
    """`hues` are (fill, border) pairs; `heat` runs from few to many bytes."""

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
    """How to fill a box; two `fills` are shown side by side."""

    fills: tuple[str, ...]
    border: str

    @property
    def color(self) -> str:
        return ":".join(self.fills)


class Palette:
    """Colours for any set of a graph's nodes, and the legend that goes with them."""

    def __init__(self, graph: Graph, overlay: Overlay, theme: Theme) -> None:
        self.graph = graph
        self.overlay = overlay
        self.theme = theme
        # What has been asked for: the legend shows nothing that the figure does not.
        self._seen: set[str] = set()
        self._shared = False

    def paint(self, nodes: Iterable[int]) -> Paint:
        """The colour of a box that stands for `nodes`."""
        nodes = list(nodes)
        if self.overlay == "memory":
            return self._heat(sum(self.saved_bytes(node) for node in nodes))
        if self.overlay == "version":
            return self._verdict(nodes)
        names: dict[str, None] = {}
        for node in nodes:
            names.update(dict.fromkeys(self._names(node)))
        if not names:
            return Paint((self.theme.plain,), self.theme.line)
        hues = [self._hue(name) for name in sorted(names, key=self._rank)][:3]
        self._shared = self._shared or len(hues) > 1
        return Paint(tuple(fill for fill, _ in hues), hues[0][1])

    def legend(self) -> list[tuple[str, Paint]]:
        """(what, colour) in the order in which the figure first used them."""
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
        """Bytes of activations that a node alone keeps alive: parameters live anyway."""
        return self._saved_bytes.get(node, 0)

    def weight(self, node: int) -> float:
        """A node's saved bytes as a part of the largest node's, in area: from 0 to 1."""
        top = max(self._saved_bytes.values(), default=0)
        return (self.saved_bytes(node) / top) ** 0.5 if top else 0.0

    def hue(self, name: str) -> tuple[str, str]:
        """(fill, border) of a loss, an optimizer or a network, where the overlay knows it."""
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
        """Every name of this overlay in a fixed order, so that a hue does not depend on what is
        drawn first."""
        graph = self.graph
        if self.overlay == "owner":
            owners = {leaf.owner for leaf in graph.leaves.values()}
            for saved in graph.saved.values():
                owners.update(each.owner for each in saved if each.kind == "parameter")
            first = [call.module for call in graph.calls if call.parent == NONE]
            leaves = [leaf.owner for leaf in graph.leaves.values() if leaf.owner]
            # In the order in which they ran; what owns nothing, a criterion, has no colour.
            names = [*(each for each in dict.fromkeys(first) if each in owners), *leaves]
        elif self.overlay == "optimizer":
            names = [each.name for each in graph.optimizers]
        elif self.overlay == "loss":
            names = [each.name for each in graph.roots]
        else:
            names = []
        return {name: at for at, name in enumerate(dict.fromkeys(names))}

    def _names(self, node: int) -> list[str]:
        graph = self.graph
        if self.overlay == "loss":
            return [root.name for root, seen in self._reach if node in seen]
        leaf = graph.leaves.get(node)
        if self.overlay == "owner":
            if leaf is not None:
                return [leaf.owner] if leaf.owner else []
            callers = graph.callers(node)
            name = graph.calls[callers[0]].module if callers else ""
            return [name] if name in self._all_names else []
        steps = leaf.optimizers if leaf is not None else self._steppers.get(node, ())
        return [graph.optimizers[at].name for at in steps]

    @cached_property
    def _reach(self) -> list[tuple[Root, set[int]]]:
        return [(root, self.graph.reached_by(root.node)) for root in self.graph.roots]

    @cached_property
    def _steppers(self) -> dict[int, tuple[int, ...]]:
        """The optimizers of each node's network: those of the parameters that its call uses."""
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
        """On the scale of the largest node: boxes of many nodes may be off its end."""
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

    def _verdict(self, nodes: list[int]) -> Paint:
        states = {each.state for node in nodes for each in self.graph.saved.get(node, ())}
        if states & {"stale", "bypassed"}:
            name = "written since it was saved"
        elif "freed" in states:
            name = "freed"
        else:
            name = "saved tensors as they were" if states else "nothing saved"
        self._seen.add(name)
        return self._verdicts[name]


def size_text(size: int) -> str:
    """Bytes as people say them: ``1.5 MB``."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"


def badge(saved: SavedTensor) -> str:
    """What a stale or bypassed tensor's box says: ``D.4.weight: saved at version 1, now 2``."""
    name = saved.tensor or f"a tensor {list(saved.shape)}"
    if saved.state == "freed":
        return f"{name}: freed"
    if saved.state == "bypassed":
        return f"{name}: written behind autograd's back"
    before = "earlier" if saved.saved_version is None else f"at version {saved.saved_version}"
    return f"{name}: saved {before}, now {saved.version}"
