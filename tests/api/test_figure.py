"""Figures of graphs: what is drawn at each level, and text that no name can break."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import UserError
from graphlab.observe.graph.capture import capture
from graphlab.trace.graph import Graph, Leaf, Root, SavedTensor
from graphlab.views.figure import words
from graphlab.views.figure.colors import DARK, LIGHT, OVERLAYS, Palette
from graphlab.views.figure.dot import USES
from graphlab.views.figure.modules import modules
from graphlab.views.figure.picture import Look, drawing, picture, source, text

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    'with "quotes" and \'others\'', "<b>&lt;markup&gt;</b> & more", "two\nlines\r\nand\x00controls",
    "n" * 300, "생성된_이미지_" * 20, "\\N \\G \\l {a|b} <port>", "]] ; }", "--> // /* #",
)  # fmt: skip


def named(name: str) -> Graph:
    saved = SavedTensor("self", "stale", (2,), "float32", 8, 0, 1, 2, name, by=name)
    return Graph(
        ("AddmmBackward0", "AccumulateGrad", "ExpBackward0"), ((1, 2), (), (-1,)),
        (Root(name, 0, f"{name}.backward()"),), (2, -1, 1),
        leaves={1: Leaf(name, (2,), "float32", 8)},
        saved={0: (saved,)}, shapes={0: (2,), 2: (2,)}, variables={2: name},
    )  # fmt: skip


def svg_of(graph: Graph, look: Look) -> ElementTree.Element:
    made = picture(graph, look, "svg")
    assert made.form == "svg", made.notice
    return ElementTree.fromstring(made.data)


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("level", ["overview", "op"])
def test_any_name_can_be_drawn(name: str, level: Any) -> None:
    root = svg_of(named(name), Look(level, title=name, caption=name))
    shown = words.clean(name, 36)
    assert any(shown in line.replace("\xa0", " ") for line in texts(root)), texts(root)
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    assert any(words.clean(name) in each.replace("\xa0", " ") for each in titles)
    assert not any(each.tag.endswith(("script", "}a", "}b")) for each in root.iter())
    assert text(named(name), Look(level, title=name)) is not None


def numbers(points: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", points)]


def extent(group: ElementTree.Element) -> tuple[float, float]:
    xs: list[float] = []
    for each in group.iter():
        if each.tag == f"{SVG}polygon":
            xs += numbers(each.get("points", ""))[::2]
        elif each.tag == f"{SVG}path":
            xs += numbers(each.get("d", ""))[::2]
        elif each.tag == f"{SVG}ellipse":
            middle, half = float(each.get("cx", 0)), float(each.get("rx", 0))
            xs += [middle - half, middle + half]
    return min(xs), max(xs)


@pytest.mark.parametrize("name", [*HOSTILE, "W" * 40, "x"], ids=range(len(HOSTILE) + 2))
@pytest.mark.parametrize("level", ["overview", "op"])
def test_text_stays_in_its_box(name: str, level: Any) -> None:
    """By the widths of a wide font, whatever font the engine or the reader has."""
    root = svg_of(named(name), Look(level))
    for group in root.iter(f"{SVG}g"):
        if group.get("class") != "node" or group.find(f".//{SVG}text") is None:
            continue
        if not any(each.tag.endswith(("polygon", "path", "ellipse")) for each in group.iter()):
            continue
        left, right = extent(group)
        for line in group.iter(f"{SVG}text"):
            size = float(line.get("font-size", 14))
            wide = words.width("".join(line.itertext()), size)
            assert wide <= right - left + 1, "".join(line.itertext())


def test_ids_and_titles_stay_between_runs() -> None:
    first, second = (picture(named("loss"), Look("op", title="t"), "svg").data for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first)
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) and {"gl-n0", "gl-n1", "gl-n2"} <= set(ids)
    assert root.get("role") == "img" and root.get("aria-label") == "t"
    node = next(each for each in root.iter() if each.get("id") == "gl-n0")
    title = node.find(f"{SVG}title")
    assert title is not None and "saved self: loss [2] float32" in (title.text or "")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("level", ["overview", "module", "op"])
def test_every_overlay_at_every_level(level: Any, overlay: Any, theme: Any) -> None:
    root = svg_of(gan(), Look(level, overlay, theme, title="gan"))
    lines = texts(root)
    legend = {
        "owner": () if level != "op" else ("D", "G"),
        "optimizer": ("stepped by optimizer_D", "stepped by optimizer_G"),
        "loss": ("reached by D_loss", "reached by G_loss", "both"),
        "version": ("saved tensors as they were",),
        "memory": (),
    }[overlay]
    assert set(legend) <= set(lines), lines
    if overlay == "memory":
        assert any("saved" in line and "B" in line for line in lines)


def gan() -> Graph:
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
    D = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer_D, optimizer_G = (torch.optim.Adam(each.parameters()) for each in (D, G))
    z, img = torch.randn(2, 3), torch.randn(2, 4)
    fake = G(z)
    real_logit, fake_logit = D(img), D(fake)
    Z = real_logit.exp().sum() + fake_logit.exp().sum()
    D_loss, G_loss = real_logit.mean() + Z.log(), fake_logit.mean() + Z.log()
    graph = capture({"D_loss": D_loss, "G_loss": G_loss}, sys._getframe())
    del optimizer_D, optimizer_G
    return graph


def test_the_overview_without_a_session() -> None:
    drawn = drawing(gan(), Look())
    title = {box.key: box.title for box in drawn.boxes}
    assert sorted(title.values()) == sorted(
        ["G", "D", "z", "img", "fake", "real_logit", "fake_logit", "Z", "D_loss", "G_loss",
         "optimizer_D", "optimizer_G"]
    )  # fmt: skip
    arrows = {(title[each.source], title[each.target]) for each in drawn.arrows}
    assert arrows == {
        ("z", "G"), ("G", "fake"), ("fake", "D"), ("img", "D"), ("D", "real_logit"),
        ("D", "fake_logit"), ("real_logit", "Z"), ("fake_logit", "Z"), ("real_logit", "D_loss"),
        ("Z", "D_loss"), ("fake_logit", "G_loss"), ("Z", "G_loss"), ("optimizer_D", "D"),
        ("optimizer_G", "G"),
    }  # fmt: skip


def test_repeated_blocks_fold() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(8, 8), nn.TransformerEncoder(layer, 5))
    with graphlab.watch():
        loss = model(torch.randn(2, 3, 8)).mean()
        graph = graphlab.render(loss).graph
    palette = Palette(graph, "owner", LIGHT)
    (folded,) = [box for box in modules(graph, palette, "", depth=3).boxes if box.times > 1]
    assert (folded.title, folded.times) == ("TransformerEncoderLayer", 5)
    opened = modules(graph, palette, "", depth=4)
    assert any(frame.title.endswith("× 5") for frame in opened.frames)
    assert sum(box.title == "MultiheadAttention" for box in opened.boxes) == 1
    assert len(modules(graph, palette, "", depth=1).boxes) == 2


def test_a_weight_of_many_uses_is_drawn_once_a_use() -> None:
    w = torch.ones(1, requires_grad=True)
    few, many = (sum(w * k for k in range(1, count + 1)) for count in (USES, USES + 1))
    for value, copies in ((few, 0), (many, USES + 1)):
        graph = capture({"value": value}, None)
        assert len(re.findall(r"^\tn\d+_\d+_\d+ \[", source(graph, Look("op")), re.M)) == copies


def test_op_level_has_every_node_and_edge() -> None:
    graph = gan()
    lines = source(graph, Look("op"))
    assert set(re.findall(r"^\t(n\d+) \[", lines, re.M)) == {f"n{at}" for at in range(len(graph))}
    edges = re.findall(r"^\tn(\d+) -> n(\d+)", lines, re.M)
    assert sorted((int(a), int(b)) for a, b in edges) == sorted(
        (edge.source, edge.node) for edge in graph.edges()
    )


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read_on_every_fill(theme: Any) -> None:
    fills = [theme.background, theme.plain, theme.alarm_fill, *(fill for fill, _ in theme.hues)]
    assert all(contrast(theme.ink, fill) >= 4.5 for fill in [*fills, *theme.heat])
    assert all(contrast(theme.alarm, fill) >= 3 for fill in fills)
    assert all(contrast(border, theme.background) >= 3 for _, border in theme.hues)


def simulated(color: str, matrix: Sequence[Sequence[float]]) -> tuple[float, ...]:
    rgb = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(sum(m * c for m, c in zip(row, rgb, strict=True)) for row in matrix)


# Machado et al. 2009, full protanopia and deuteranopia.
BLIND = (
    ((0.152, 1.053, -0.205), (0.115, 0.786, 0.099), (-0.004, -0.048, 1.052)),
    ((0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)),
)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("matrix", BLIND, ids=["protan", "deutan"])
def test_the_first_hues_differ_to_the_colour_blind(theme: Any, matrix: Any) -> None:
    borders = [simulated(border, matrix) for _, border in theme.hues[:3]]
    for one, other in itertools.combinations(borders, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 0.15


def test_render_in_python(tmp_path: Any) -> None:
    net = nn.Linear(2, 1)
    loss = net(torch.ones(1, 2)).sum()
    figure = graphlab.render(loss, level="op")
    assert "net.weight" in figure.dot and "loss" in figure.text
    bundle = figure._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml") and "loss" in bundle["text/plain"]
    assert set(figure._repr_mimebundle_(include=["text/plain"])) == {"text/plain"}
    for name in ("a.svg", "a.png", "a.pdf", "a.dot", "a.json", "a.txt"):
        assert figure.save(tmp_path / name) == str(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    with pytest.raises(UserError, match="already exists"):
        figure.save(tmp_path / "a.svg", force=False)
    with pytest.raises(UserError, match="no known extension"):
        figure.save(tmp_path / "a.jpeg2000")
    loss.backward()
    assert "loss" in graphlab.render({"loss": loss}).text
    with pytest.raises(TypeError, match="takes tensors"):
        graphlab.render([loss, 3])


def test_a_loss_without_a_graph_is_a_box() -> None:
    drawn = drawing(capture({"loss": torch.ones(())}, None), Look())
    (box,) = drawn.boxes
    assert box.title == "loss" and box.alarms == ["no graph leads here"]


def test_an_empty_look_needs_no_title() -> None:
    assert replace(Look(), title="x").title == "x"
    assert "digraph" in source(gan(), Look("module"))
