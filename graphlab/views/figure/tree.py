"""Renders a figure as a tree for the terminal: each loss, and what it was computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from graphlab.trace.graph import NONE, Graph
from graphlab.views.figure.colors import badge
from graphlab.views.figure.drawing import Box, Drawing
from graphlab.views.figure.words import clean, dims, where

Key = TypeVar("Key", str, int)

# A tree is cut after this many lines.
LINES = 200


def of_drawing(drawing: Drawing) -> RenderableType:
    """The boxes of a drawing as lines. A box below two others is expanded once, and marked
    ``(above)`` the second time."""
    boxes = {box.key: box for box in drawing.boxes}
    sources: dict[str, list[str]] = {}
    for arrow in drawing.arrows:
        if arrow.line != "again" and arrow.source != arrow.target:
            sources.setdefault(arrow.target, []).append(arrow.source)
    losses = [box.key for box in drawing.boxes if box.shape == "loss"]
    return _tree(
        drawing.title, losses, lambda key: sources.get(key, ()), lambda key: _box_line(boxes[key])
    )


def of_operations(graph: Graph, title: str) -> RenderableType:
    """Every node of a graph as a line, up to LINES."""

    def sources(node: int) -> list[int]:
        return [each for each in graph.inputs[node] if each != NONE]

    roots = list(dict.fromkeys(root.node for root in graph.roots if root.node != NONE))
    names = {root.node: root.name for root in graph.roots}
    return _tree(title, roots, sources, lambda node: _node_line(graph, node, names.get(node)))


def _tree(
    title: str,
    roots: Sequence[Key],
    sources: Callable[[Key], Sequence[Key]],
    line: Callable[[Key], Text],
) -> RenderableType:
    """Builds the tree with a stack of its own, since graphs may be deeper than the recursion limit.
    A chain of single sources is not indented."""
    top = Tree(Text(clean(title), "bold"), guide_style="dim")
    done: set[Key] = set()
    count = 0
    stack = [(key, top) for key in reversed(roots)]
    while stack:
        key, parent = stack.pop()
        if count >= LINES:
            parent.add(Text(f"… and {len(stack) + 1} branches more", "dim"))
            break
        count += 1
        text = line(key)
        if key in done:
            parent.add(Text.assemble(text, ("  (above)", "dim")))
            continue
        done.add(key)
        branch = parent.add(text)
        below = list(dict.fromkeys(sources(key)))
        into = branch if len(below) > 1 or parent is top else parent
        stack.extend((each, into) for each in reversed(below))
    return top


def _box_line(box: Box) -> Text:
    text = Text(clean(box.title, 60), "bold red" if box.red else "bold")
    if box.times > 1:
        text.append(f" × {box.times}")
    notes = [*box.notes, *(lane.text for lane in box.lanes)]
    if notes:
        text.append(f"  {' · '.join(clean(note, 60) for note in notes)}", "dim")
    for alarm in [*(each for lane in box.lanes for each in lane.alarms), *box.alarms]:
        text.append(f"  {clean(alarm, 80)}", "red")
    return text


def _node_line(graph: Graph, node: int, loss: str | None) -> Text:
    leaf = graph.leaves.get(node)
    name = leaf.name if leaf is not None else loss or graph.variables.get(node)
    bad = [each for each in graph.saved.get(node, ()) if each.state in ("stale", "bypassed")]
    text = Text(clean(graph.operations[node], 60), "red" if bad else "")
    if name:
        text = Text.assemble((f"{clean(name, 60)} ", "bold"), text)
    shape = leaf.shape if leaf is not None else graph.shapes.get(node)
    at = graph.places.get(node)
    notes = [dims(shape)] if shape is not None else []
    notes += [where(at)] if at is not None else []
    if notes:
        text.append(f"  {' · '.join(notes)}", "dim")
    for each in bad:
        text.append(f"  {clean(badge(each), 80)}", "red")
    return text
