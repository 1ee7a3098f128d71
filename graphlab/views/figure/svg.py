"""Post-processes Graphviz's SVG: plain tooltips, stable ids, and a title for screen readers."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree

from graphlab.views.figure.words import clean

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def with_titles(data: bytes, title: str, description: str = "") -> bytes:
    """The SVG with `title` and `description`. The id of a group is ``gl-`` and the id or
    else the name in the DOT text. A tooltip becomes the title, which browsers show on hovering and
    screen readers read."""
    root = ElementTree.fromstring(data)
    title, description = clean(title), "\n".join(map(clean, description.split("\n")))
    root.set("role", "img")
    root.set("aria-label", title)
    counts: dict[str, int] = {}
    for group in root.iter(f"{{{SVG}}}g"):
        kind = group.get("class")
        name = group.find(f"{{{SVG}}}title")
        if kind not in ("node", "edge", "cluster") or name is None:
            continue
        tip = _unwrapped(group)
        known = (name.text or "").replace("->", "-")
        if kind == "edge" and not group.get("id", "edge").startswith("edge"):
            known = group.get("id", "")
        counts[known] = counts.get(known, 0) + 1
        again = f"-{counts[known]}" if counts[known] > 1 else ""
        group.set("id", f"gl-{known}{again}")
        if kind == "node" and tip:
            name.text = tip
        else:
            group.remove(name)
    _own_gradients(root, hashlib.sha1(data).hexdigest()[:8])
    _replace_heading(root, title, description)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _unwrapped(group: ElementTree.Element) -> str:
    """Remove the link that Graphviz puts around a node with a tooltip, and return the tooltip."""
    tip = ""
    for wrapper in list(group.findall(f"{{{SVG}}}g")):
        link = wrapper.find(f"{{{SVG}}}a")
        if link is None:
            continue
        tip = tip or link.get(f"{{{XLINK}}}title", "")
        at = list(group).index(wrapper)
        group.remove(wrapper)
        for offset, child in enumerate(list(link)):
            group.insert(at + offset, child)
    return tip


def _own_gradients(root: ElementTree.Element, mark: str) -> None:
    """Prefix the ids of colour gradients by `mark`: figures in a notebook share one page."""
    kinds = {f"{{{SVG}}}linearGradient", f"{{{SVG}}}radialGradient"}
    renamed = {}
    for each in root.iter():
        if each.tag in kinds:
            old = each.get("id", "")
            renamed[f"url(#{old})"] = f"url(#{mark}-{old})"
            each.set("id", f"{mark}-{old}")
    if renamed:
        for each in root.iter():
            fill = each.get("fill")
            if fill in renamed:
                each.set("fill", renamed[fill])


def _replace_heading(root: ElementTree.Element, title: str, description: str) -> None:
    """Put title and description into the root element, and remove the graph's own title."""
    graph = root.find(f"{{{SVG}}}g")
    name = graph.find(f"{{{SVG}}}title") if graph is not None else None
    if graph is not None and name is not None:
        graph.remove(name)
    if graph is not None:
        graph.set("id", "gl-graph")
    for at, (tag, text) in enumerate((("title", title), ("desc", description))):
        if text:
            each = ElementTree.Element(f"{{{SVG}}}{tag}")
            each.text = text
            root.insert(at, each)
