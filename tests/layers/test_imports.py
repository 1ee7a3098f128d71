"""The checker of the layers, on small trees with one fault each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.layers.imports import circles, imported, read, upward

FLOORS = [("ground",), ("left", "right"), ("__init__",)]


def tree(folder: Path, **sources: str) -> dict[str, set[str]]:
    """Who imports whom in a package ``house`` of these modules; ``left__door`` is left/door.py."""
    for name, source in {"__init__": "", **sources}.items():
        path = folder / "house" / f"{name if name == '__init__' else name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return read(folder / "house").uses


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import house.right.story", {"house.right.story"}),
        ("from house import right, ground", {"house.right", "house.ground"}),
        ("from ..right.story import Story", {"house.right.story.Story"}),
        ("from .. import right", {"house.right"}),
        ("from . import door", {"house.left.door"}),
        ("def f():\n    import torch.nn as nn", {"torch.nn"}),
    ],
)
def test_every_form_of_import_is_seen(line: str, expected: set[str]) -> None:
    assert imported(line, "house.left.stairs") == expected


def test_a_package_imports_from_itself() -> None:
    assert imported("from .door import Door", "house.left", True) == {"house.left.door.Door"}


def test_a_sound_tree_passes(tmp_path: Path) -> None:
    uses = tree(
        tmp_path, __init__="from house.left.door import Door", ground="import json",
        left__door="from house.left import stairs", left__stairs="from house.ground import f",
        right="from house import ground",
    )  # fmt: skip
    assert upward(uses, FLOORS, "house") == [] and circles(uses) == []
    assert uses["house.left.door"] == {"house.left.stairs"}


@pytest.mark.parametrize(
    "source",
    [
        "from house.left.door import Door",
        "import house.left.door",
        "def late():\n    from house.left import door",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.left.door import Door",
        "try:\n    from .left import door\nexcept ImportError:\n    door = None",
    ],
    ids=["plain", "dotted", "lazy", "TYPE_CHECKING", "relative"],
)
def test_an_import_upwards_is_told(tmp_path: Path, source: str) -> None:
    uses = tree(tmp_path, ground=source, left__door="")
    assert upward(uses, FLOORS, "house") == ["house.ground imports house.left.door"]


def test_neighbours_and_the_package_itself_are_not_imported(tmp_path: Path) -> None:
    uses = tree(tmp_path, left="import house.right", right="from house import name")
    assert upward(uses, FLOORS, "house") == [
        "house.left imports house.right",
        "house.right imports house",
    ]


@pytest.mark.parametrize("name", ["cellar", "cellar__wine"])
def test_a_part_without_a_floor_is_told(tmp_path: Path, name: str) -> None:
    assert upward(tree(tmp_path, **{name: ""}), FLOORS, "house") == ["cellar stands on no floor"]


def test_a_circle_is_told_whichever_way_it_runs(tmp_path: Path) -> None:
    uses = tree(
        tmp_path, left__a="from house.left.b import x",
        left__b="def late():\n    from house.left import c",
        left__c="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .a import y",
        left__d="from house.left import a",
    )  # fmt: skip
    assert circles(uses) == [["house.left.a", "house.left.b", "house.left.c"]]


def test_two_circles_are_two() -> None:
    uses = {"a": {"b"}, "b": {"a", "c"}, "c": {"d"}, "d": {"c"}, "e": {"e"}, "f": {"a"}}
    assert sorted(circles(uses)) == [["a", "b"], ["c", "d"]]
