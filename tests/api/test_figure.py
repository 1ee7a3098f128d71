"""Figures of a program's graphs: what is drawn at each level, and graphlab.render()."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import UserError
from graphlab.observe.graph.capture import capture
from graphlab.trace.graph import Graph
from graphlab.views.figure.colors import LIGHT, OVERLAYS, Palette
from graphlab.views.figure.dot import USES
from graphlab.views.figure.modules import modules
from graphlab.views.figure.picture import FigureOptions, drawing, picture, source

SVG = "{http://www.w3.org/2000/svg}"


def svg_of(graph: Graph, look: FigureOptions) -> ElementTree.Element:
    made = picture(graph, look, "svg")
    assert made.form == "svg", made.notice
    return ElementTree.fromstring(made.data)


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("level", ["overview", "module", "op"])
def test_every_overlay_at_every_level(level: Any, overlay: Any, theme: Any) -> None:
    root = svg_of(gan(), FigureOptions(level, overlay, theme, title="gan"))
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
    drawn = drawing(gan(), FigureOptions())
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
        assert (
            len(re.findall(r"^\tn\d+_\d+_\d+ \[", source(graph, FigureOptions("op")), re.M))
            == copies
        )


def test_op_level_has_every_node_and_edge() -> None:
    graph = gan()
    lines = source(graph, FigureOptions("op"))
    assert set(re.findall(r"^\t(n\d+) \[", lines, re.M)) == {f"n{at}" for at in range(len(graph))}
    edges = re.findall(r"^\tn(\d+) -> n(\d+)", lines, re.M)
    assert sorted((int(a), int(b)) for a, b in edges) == sorted(
        (edge.source, edge.node) for edge in graph.edges()
    )


def test_render_in_python(tmp_path: Any) -> None:
    net = nn.Linear(2, 1)
    loss = net(torch.ones(1, 2)).sum()
    figure = graphlab.render(loss, level="op")
    assert "net.weight" in figure.dot and "loss" in figure.text
    mime_bundle = figure._repr_mimebundle_()
    assert mime_bundle["image/svg+xml"].startswith("<?xml") and "loss" in mime_bundle["text/plain"]
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


def test_a_session_follows_lines_again_after_a_figure() -> None:
    x = torch.ones(2, requires_grad=True)
    with graphlab.watch():
        tracing = sys.gettrace()
        graphlab.render(x.sum(), level="op").dot  # noqa: B018
        assert sys.gettrace() is tracing
        # Lines are followed by sys.monitoring there.
        assert tracing is not None or sys.version_info >= (3, 12)
        with pytest.raises(TypeError):
            graphlab.render([1])
        assert sys.gettrace() is tracing
        later = x.sum()
        places = graphlab.render(later).graph.places
    assert [at.code for at in places.values()] == ["later = x.sum()"]


def test_another_tracer_follows_figures() -> None:
    seen = []

    def other(frame: Any, event: str, arg: Any) -> None:
        seen.append(frame.f_code.co_name)

    before = sys.gettrace()
    sys.settrace(other)
    try:
        graphlab.render(torch.ones(2, requires_grad=True).sum())
        assert sys.gettrace() is other
    finally:
        sys.settrace(before)
    assert "capture" in seen


def test_a_loss_without_a_graph_is_a_box() -> None:
    drawn = drawing(capture({"loss": torch.ones(())}, None), FigureOptions())
    (box,) = drawn.boxes
    assert box.title == "loss" and box.alarms == ["no graph leads here"]


def test_an_empty_look_needs_no_title() -> None:
    assert replace(FigureOptions(), title="x").title == "x"
    assert "digraph" in source(gan(), FigureOptions("module"))
