"""Figures of graphs made by hand: no name breaks them, and colours can be told apart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pytest

from graphlab.trace.graph import Graph, Leaf, Root, SavedTensor
from graphlab.views.figure import words
from graphlab.views.figure.colors import DARK, LIGHT
from graphlab.views.figure.picture import FigureOptions, picture, text

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


def svg_of(graph: Graph, look: FigureOptions) -> ElementTree.Element:
    made = picture(graph, look, "svg")
    assert made.form == "svg", made.notice
    return ElementTree.fromstring(made.data)


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("level", ["overview", "op"])
def test_any_name_can_be_drawn(name: str, level: Any) -> None:
    root = svg_of(named(name), FigureOptions(level, title=name, caption=name))
    shown = words.clean(name, 36)
    assert any(shown in line.replace("\xa0", " ") for line in texts(root)), texts(root)
    titles = [each.text or "" for each in root.iter(f"{SVG}title")]
    assert any(words.clean(name) in each.replace("\xa0", " ") for each in titles)
    assert not any(each.tag.endswith(("script", "}a", "}b")) for each in root.iter())
    assert text(named(name), FigureOptions(level, title=name)) is not None


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
    root = svg_of(named(name), FigureOptions(level))
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
    first, second = (
        picture(named("loss"), FigureOptions("op", title="t"), "svg").data for _ in range(2)
    )
    assert first == second
    root = ElementTree.fromstring(first)
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) and {"gl-n0", "gl-n1", "gl-n2"} <= set(ids)
    assert root.get("role") == "img" and root.get("aria-label") == "t"
    node = next(each for each in root.iter() if each.get("id") == "gl-n0")
    title = node.find(f"{SVG}title")
    assert title is not None and "saved self: loss [2] float32" in (title.text or "")


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
