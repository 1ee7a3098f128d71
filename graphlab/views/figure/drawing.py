"""What a figure consists of, before it is DOT: boxes, arrows between them, and a legend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphlab.views.figure.colors import Paint, Theme

Shape = Literal["module", "variable", "input", "loss", "optimizer", "leaf", "operation"]
Line = Literal["flow", "steps", "detached", "again"]


@dataclass(slots=True)
class Lane:
    """One call of a module that is drawn as one box: what came in by its left goes out right."""

    text: str
    alarms: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Box:
    """`notes` are small lines under the title, `alarms` the ones in red; `times` folds repeats."""

    key: str
    title: str
    shape: Shape
    paint: Paint
    notes: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    tooltip: str = ""
    red: bool = False
    times: int = 1


@dataclass(slots=True)
class Arrow:
    """From box to box, at a lane of either where it has lanes."""

    source: str
    target: str
    line: Line = "flow"
    source_lane: int | None = None
    target_lane: int | None = None
    label: str = ""
    red: bool = False


@dataclass(slots=True)
class Frame:
    """A frame around boxes or other frames: a module that is drawn from inside."""

    key: str
    title: str
    paint: Paint
    boxes: list[str] = field(default_factory=list)
    parent: str | None = None


@dataclass(slots=True)
class Drawing:
    title: str
    caption: str
    theme: Theme
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    legend: list[tuple[str, Paint]] = field(default_factory=list)
    across: bool = True
    # Which box draws each of the graph's nodes, and which one the value that leaves it.
    home: dict[int, tuple[str, str]] = field(default_factory=dict)
