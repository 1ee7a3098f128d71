"""Writes DOT text: for the boxes of a drawing, or for every node of a graph."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from html import escape
from itertools import chain

import graphviz

from graphlab.text import one_line
from graphlab.trace.graph import NONE, Graph, Leaf, SavedTensor
from graphlab.views.figure.colors import Paint, Palette, Theme, badge, size_text
from graphlab.views.figure.drawing import Arrow, Box, Drawing, Frame
from graphlab.views.figure.grouping import failed_backward, nodes_with_stale_saved
from graphlab.views.figure.words import clean, dims, escaped, sizes, tip, where, width

FONT = "Helvetica,Arial,sans-serif"
TITLE, TEXT, SMALL = 22, 15, 13
# Longer names are shortened in the middle; the tooltip has the full name.
LIMIT = 36
# A leaf with more users than this is drawn once per use. Edges from one box to all ranks would
# make dot take minutes.
USES = 8
# Graph attributes that limit dot's search for short edges and few crossings.
CHEAP = {"nslimit": "0.1", "nslimit1": "1", "mclimit": "0.2", "splines": "line"}
TIGHT = {"nodesep": "0.15", "ranksep": "0.17", "pad": "0.05"}
# With more nodes, dot spends less on straight edges: in an LSTM of 200 steps, 3.5 of 4 seconds.
MANY = 1000
# The default attributes of nodes at the level of operations.
OPERATION = {"shape": "box", "style": "filled", "height": "0.3", "margin": "0.08,0.04"}


def figure(drawing: Drawing, cheap: bool = False) -> str:
    """The DOT text of a drawing; `cheap` limits the work of the layout."""
    theme = drawing.theme
    body: list[str] = []
    inside = {key for frame in drawing.frames for key in frame.boxes}
    for frame in drawing.frames:
        if frame.parent is None:
            _frame(frame, drawing, body, 1)
    body += [_box(box, drawing) for box in drawing.boxes if box.key not in inside]
    kinds = {box.key: box.shape for box in drawing.boxes}
    body += [_arrow(arrow, kinds, theme) for arrow in drawing.arrows]
    for arrow in drawing.arrows:
        if arrow.line == "steps" and drawing.across and not _steps_many(drawing, arrow.source):
            body.append(f"\t{{rank=same {arrow.target} {arrow.source}}}\n")
    return _digraph(
        _heading(drawing.title, drawing.caption, drawing.legend, theme),
        theme,
        body,
        {"shape": "plain"},
        {
            "rankdir": "LR" if drawing.across else "TB",
            "nodesep": "0.3",
            "ranksep": "0.4" if drawing.across else "0.3",
        }
        | (TIGHT if drawing.tight else {})
        | (CHEAP if cheap else {}),
    )


def _steps_many(drawing: Drawing, optimizer: str) -> bool:
    return sum(1 for each in drawing.arrows if each.source == optimizer) > 1


def operations(
    graph: Graph, palette: Palette, title: str = "", caption: str = "", cheap: bool = False
) -> str:
    """The DOT text of every node and edge of a graph; `cheap` limits the work of the layout."""
    theme = palette.theme
    losses = {root.node: root.name for root in graph.roots}
    colored = graph.call_of.keys() | graph.leaves.keys() | graph.saved.keys()
    special = colored | graph.shapes.keys() | graph.variables.keys() | losses.keys() - {NONE}
    if palette.overlay in ("loss", "version", "memory"):
        special = colored = set(range(len(graph)))
    plain = {each: _plain(each) for each in set(graph.operations)}
    body = [f"\tn{node}{plain[each]}" for node, each in enumerate(graph.operations)]
    bad = nodes_with_stale_saved(graph)
    for node in special:
        paint = palette.paint_node(node) if node in colored else None
        body[node] = _node(graph, node, paint, losses.get(node), palette, bad.get(node))
    found = failed_backward(graph, bad)
    way = set(zip(found.path[1:], found.path, strict=False)) if found is not None else set()
    body += _edges(graph, theme, way)
    heading = _heading(title, caption, palette.legend(), theme) if title else ""
    layout = {"rankdir": "TB", "nodesep": "0.2", "ranksep": "0.3"}
    if len(graph) > MANY:
        layout["nslimit"] = CHEAP["nslimit"]
    return _digraph(heading, theme, body, OPERATION, layout | (CHEAP if cheap else {}))


@lru_cache(maxsize=4096)
def _plain(operation: str) -> str:
    return f" [label={_quoted(clean(operation, LIMIT))}]\n"


def _edges(graph: Graph, theme: Theme, way: set[tuple[int, int]]) -> list[str]:
    """The lines for all edges; those in `way`, the path of a failed backward, are red."""
    shared = _used_often(graph) if graph.leaves else set()
    ends = {node for _, node in way}
    lines = []
    for node, sources in enumerate(graph.inputs):
        numbers = graph.outputs.get(node)
        if numbers is None and node not in ends and shared.isdisjoint(sources):
            lines += [f"\tn{source} -> n{node}\n" for source in sources if source != NONE]
            continue
        for slot, source in enumerate(sources):
            if source == NONE:
                continue
            if source in shared:
                name = f"n{source}_{node}_{slot}"
                lines.append(f"\t{name}{_leaf_label(graph.leaves[source])}")
                lines.append(f"\t{name} -> n{node}\n")
            elif (source, node) in way:
                lines.append(f'\tn{source} -> n{node} [color="{theme.alarm}" penwidth=3]\n')
            elif numbers is not None and numbers[slot]:
                lines.append(f'\tn{source} -> n{node} [taillabel="{numbers[slot]}"]\n')
            else:
                lines.append(f"\tn{source} -> n{node}\n")
    return lines


def _used_often(graph: Graph) -> set[int]:
    uses = Counter(chain.from_iterable(graph.inputs))
    return {node for node in graph.leaves if uses[node] > USES}


def _node(
    graph: Graph,
    node: int,
    paint: Paint | None,
    loss: str | None,
    palette: Palette,
    bad: list[SavedTensor] | None,
) -> str:
    theme = palette.theme
    leaf = graph.leaves.get(node)
    saved = graph.saved.get(node, ())
    operation = graph.operations[node]
    attributes = ""
    if leaf is not None:
        name, shape = leaf.name, leaf.shape
    else:
        name, shape = loss or graph.variables.get(node), graph.shapes.get(node)
    more: tuple[str, ...] = ()
    if palette.overlay == "memory" and palette.saved_bytes(node):
        more = (f"{size_text(palette.saved_bytes(node))} saved",)
        scale = 0.4 + 1.6 * palette.weight(node)
        attributes += f" height={scale:.2f}"
    if bad is not None:
        more += tuple(badge(each) for each in bad)
    if palette.overlay == "version":
        more += tuple([f"{each.slot} freed" for each in saved if each.state == "freed"][:1])
    if paint is not None:
        attributes += _filled(paint.fills, paint.border)
    if bad is not None:
        attributes += f' color="{theme.alarm}" penwidth=3'
        if palette.overlay != "memory":
            attributes += f' fontcolor="{theme.alarm}"'
    elif loss is not None:
        attributes += " penwidth=3"
    if leaf is not None:
        striped = paint is not None and len(paint.fills) > 1
        attributes += " shape=box" if striped else " shape=ellipse"
    label = _label(name, operation if leaf is None or not name else None, shape, more)
    shown = _tooltip(graph, node, operation, leaf, saved)
    return f'\tn{node} [{label} tooltip="{shown}"{attributes}]\n'


def _leaf_label(leaf: Leaf) -> str:
    label = _label(leaf.name or "AccumulateGrad", None, leaf.shape, ())
    return f' [{label} shape=ellipse style="filled,dashed"]\n'


def _tooltip(
    graph: Graph, node: int, operation: str, leaf: Leaf | None, saved: tuple[SavedTensor, ...]
) -> str:
    lines = tip(operation)
    shape = graph.shapes.get(node)
    if shape is not None:
        lines += f" {sizes(shape)} {tip(graph.dtypes.get(node, ''))}"
    if leaf is not None:
        lines += f"\\n{tip(leaf.name or 'a leaf')} {sizes(leaf.shape)} {tip(leaf.dtype)}"
        for at in leaf.optimizers:
            lines += f"\\nstepped by {tip(graph.optimizers[at].name)}"
    place = graph.places.get(node)
    if place is not None:
        lines += f"\\n{where(place)}: {tip(place.code)}"
    number = graph.call_of.get(node)
    if number is not None:
        call = graph.calls[number]
        lines += f"\\nin {tip(call.module)} ({tip(call.type)})"
    for each in saved:
        versions = each.version
        if each.state != "fresh":
            versions = badge(each).rpartition(": ")[2]
            versions += f", by {each.by}, {where(each.at)}" if each.by else ""
        lines += _saved_line(each.slot, each.tensor, each.shape, each.dtype, versions)
    return lines


# Most texts are those of another node too, or of the figure before.
@lru_cache(maxsize=8192)
def _label(
    name: str | None, operation: str | None, shape: tuple[int, ...] | None, more: tuple[str, ...]
) -> str:
    """The label of a node and the width that it needs, as attributes."""
    lines = [clean(each, LIMIT) for each in (name, operation) if each]
    if shape is not None:
        lines.append(dims(shape))
    lines += [clean(each, 2 * LIMIT) for each in more]
    label = "\\n".join([escaped(line) for line in lines])
    fit = max([width(line, SMALL) for line in lines]) / 72 + 0.25
    return f'label="{label}" width={fit:.2f}'


@lru_cache(maxsize=8192)
def _saved_line(
    slot: str, name: str | None, shape: tuple[int, ...], dtype: str, versions: str | int | None
) -> str:
    """The line of a tooltip for a saved tensor; `versions` is one, or what became of it."""
    said = versions if isinstance(versions, str) else f"version {versions}"
    return "\\n" + tip(f"saved {slot}: {name or 'a tensor'} {list(shape)} {dtype}, {said}")


@lru_cache(maxsize=256)
def _filled(fills: tuple[str, ...], border: str) -> str:
    style = "filled,striped" if len(fills) > 1 else "filled"
    return f' style="{style}" fillcolor="{":".join(fills)}" color="{border}"'


def _frame(frame: Frame, drawing: Drawing, body: list[str], depth: int) -> None:
    theme = drawing.theme
    body.append(
        f"\tsubgraph cluster_{frame.key} {{\n\tgraph [label={_quoted(clean(frame.title, 60))}"
        f' style="rounded" color="{frame.paint.border}" fontcolor="{theme.faint}" margin=10'
        f" labeljust=l fontsize={TEXT}]\n"
    )
    for box in drawing.boxes:
        if box.key in frame.boxes:
            body.append(_box(box, drawing))
    for each in drawing.frames:
        if each.parent == frame.key:
            _frame(each, drawing, body, depth + 1)
    body.append("\t}\n")


def _box(box: Box, drawing: Drawing) -> str:
    """A box as a node with an HTML-like table: other labels have no lanes and one font size
    only."""
    theme = drawing.theme
    large = box.shape == "loss" or (box.shape == "module" and drawing.across)
    big = TITLE if large else TEXT + 2
    ink = theme.alarm if box.red and box.shape == "loss" else theme.ink
    rows = [_row(clean(box.title, LIMIT) + _times(box), big, ink, bold=True)]
    if box.shape == "operation":
        rows = [_row(clean(box.title, LIMIT), SMALL, theme.faint)]
    for note in _packed(box.notes):
        rows.append(_row(note, SMALL, theme.faint))
    if box.blank:
        rows.append(_row(box.blank, SMALL, theme.faint))
    for at, lane in enumerate(box.lanes):
        inner = [_row(clean(lane.text, LIMIT), SMALL, theme.ink)]
        inner += [_row(clean(each, LIMIT), SMALL, theme.alarm, bold=True) for each in lane.alarms]
        rows.append(
            f'<TR><TD PORT="l{at}" BORDER="1" SIDES="T" COLOR="{box.paint.border}">'
            f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="2">{"".join(inner)}'
            "</TABLE></TD></TR>"
        )
    for alarm in box.alarms:
        rows.append(_row(clean(alarm, LIMIT), SMALL, theme.alarm, bold=True))
    if box.shape != "operation":
        rows.insert(0, '<TR><TD HEIGHT="3" CELLPADDING="0"></TD></TR>')
    border = theme.alarm if box.red else box.paint.border or theme.line
    fill = theme.alarm_fill if box.red and box.shape == "loss" else _bands(box.paint)
    style = "ROUNDED"
    edge = 3 if box.red else 2 if box.shape in ("module", "loss") else 1
    if box.shape in ("input", "operation") and not box.red:
        edge = 0 if box.shape == "input" else 1
    if box.shape == "optimizer":
        style = "ROUNDED,DASHED" if not box.red else "ROUNDED"
    table = (
        f'<TABLE BORDER="{edge}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{3 - drawing.tight}"'
        f' STYLE="{style}" COLOR="{border}" BGCOLOR="{fill}">{"".join(rows)}</TABLE>'
    )
    shown = _quoted(box.tooltip or box.title)
    return f"\t{box.key} [label=<{table}> tooltip={shown}]\n"


def _times(box: Box) -> str:
    return f" × {box.times}" if box.times > 1 else ""


def _packed(notes: list[str]) -> list[str]:
    """The lines for `notes`: short ones share a line."""
    lines: list[str] = []
    for note in (clean(note, LIMIT) for note in notes):
        if lines and len(lines[-1]) + len(note) < 16:
            lines[-1] += f" · {note}"
        else:
            lines.append(note)
    return lines


def _row(text: str, size: int, color: str, bold: bool = False) -> str:
    fit = round(width(text, size) * (1.08 if bold else 1.0)) + 12
    return f'<TR><TD WIDTH="{fit}">{_font(text, size, color, bold)}</TD></TR>'


def _font(text: str, size: int, color: str, bold: bool = False) -> str:
    # Graphviz replaces \\N and its like by the node's name, even here.
    inner = escape(one_line(text), quote=True).replace("\\", "\\\\") or " "
    if bold:
        inner = f"<B>{inner}</B>"
    return f'<FONT POINT-SIZE="{size}" COLOR="{color}">{inner}</FONT>'


def _bands(paint: Paint) -> str:
    """The fills of a paint side by side, without a gradient between them."""
    one, *others = paint.fills
    return f"{one};0.5:{others[0]}" if others else one


def _arrow(arrow: Arrow, kinds: dict[str, str], theme: Theme) -> str:
    tail = arrow.source if arrow.source_lane is None else f"{arrow.source}:l{arrow.source_lane}:e"
    head = arrow.target if arrow.target_lane is None else f"{arrow.target}:l{arrow.target_lane}:w"
    attributes = []
    color = theme.alarm if arrow.red else theme.line
    label = arrow.label
    if arrow.line == "steps":
        attributes.append("style=dashed" if not arrow.red else "style=bold")
    elif arrow.line == "detached":
        attributes.append("style=dotted")
    elif arrow.line == "again":
        attributes.append("constraint=false")
    attributes.append(f'color="{color}"')
    if arrow.source_lane is not None or arrow.target_lane is not None:
        # Graphviz names an edge by its boxes; two lanes of one box are two edges.
        attributes.append(f'id="{tail}-{head}"'.replace(":", "-"))
    if arrow.red:
        attributes.append("penwidth=3")
    if label:
        shown = "\\n".join(escaped(clean(line, LIMIT)) for line in label.split("\n"))
        ink = theme.alarm if arrow.red else theme.faint
        attributes.append(f'label="{shown}" fontcolor="{ink}"')
    return f"\t{tail} -> {head} [{' '.join(attributes)}]\n"


def _heading(title: str, caption: str, legend: list[tuple[str, Paint]], theme: Theme) -> str:
    rows = [f'<TR><TD ALIGN="LEFT">{_font(clean(title, 90), 16, theme.ink, bold=True)}</TD></TR>']
    for line in caption.split("\n") if caption else []:
        cell = _font(clean(line, 140), SMALL, theme.faint)
        rows.append(f'<TR><TD ALIGN="LEFT">{cell}</TD></TR>')
    if legend:
        cells = "".join(
            f'<TD BGCOLOR="{_bands(paint)}" BORDER="1" COLOR="{paint.border}" WIDTH="22"> </TD>'
            f'<TD ALIGN="LEFT" WIDTH="{round(width(clean(text, LIMIT), SMALL)) + 14}">'
            f"{_font(clean(text, LIMIT), SMALL, theme.ink)}</TD>"
            for text, paint in legend
        )
        rows.append(
            '<TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLBORDER="0" CELLSPACING="4">'
            f"<TR>{cells}</TR></TABLE></TD></TR>"
        )
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2">{"".join(rows)}</TABLE>>'


def _digraph(
    heading: str, theme: Theme, body: list[str], nodes: dict[str, str], layout: dict[str, str]
) -> str:
    head = [*_attributes(theme, tuple(nodes.items()), tuple(layout.items()))]
    if heading:
        head.append(f"\tlabel={heading}\n")
    return "".join(["digraph graphlab {\n", *head, *body, "}\n"])


@lru_cache(maxsize=32)
def _attributes(
    theme: Theme, nodes: tuple[tuple[str, str], ...], layout: tuple[tuple[str, str], ...]
) -> list[str]:
    """The defaults of graph, nodes and edges as lines of DOT."""
    graph = {
        "bgcolor": theme.background, "fontname": FONT, "fontcolor": theme.ink, "pad": "0.25",
        "labelloc": "t", "labeljust": "l", **dict(layout),
    }  # fmt: skip
    node = {
        "fontname": FONT, "fontcolor": theme.ink, "color": theme.line, "fillcolor": theme.plain,
        "fontsize": str(SMALL), **dict(nodes),
    }  # fmt: skip
    edge = {
        "fontname": FONT, "fontsize": str(SMALL), "color": theme.line, "fontcolor": theme.faint,
        "arrowsize": "0.8",
    }  # fmt: skip
    return list(graphviz.Digraph(graph_attr=graph, node_attr=node, edge_attr=edge))[1:-1]


def _quoted(text: str) -> str:
    return f'"{tip(text)}"'
