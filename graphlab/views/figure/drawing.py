"""The drawing of a figure before it is DOT: its boxes, arrows, frames and legend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphlab.views.figure.colors import Paint, Theme

Shape = Literal["module", "variable", "input", "loss", "optimizer", "leaf", "operation"]
Line = Literal["flow", "steps", "detached", "again"]


@dataclass(slots=True)
class Lane:
    """One call of a module whose calls share a box: arrows enter it on the left, and leave it on
    the right."""

    text: str
    alarms: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Box:
    """A box. `notes` are small lines under the title, `alarms` red ones; `times` says how many
    equal modules it stands for. `blank` is a line that another view will write over: it only keeps
    the room."""

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
    blank: str = ""


@dataclass(slots=True)
class Arrow:
    """An arrow between two boxes, or between lanes of theirs."""

    source: str
    target: str
    line: Line = "flow"
    source_lane: int | None = None
    target_lane: int | None = None
    label: str = ""
    red: bool = False


@dataclass(slots=True)
class Frame:
    """A frame around boxes or other frames: a module whose parts are drawn."""

    key: str
    title: str
    paint: Paint
    boxes: list[str] = field(default_factory=list)
    parent: str | None = None


@dataclass(slots=True)
class Drawing:
    """The boxes, arrows and frames of a figure, with its legend; `across` lays it out from left to
    right, and otherwise from top to bottom; `tight` leaves less room between the boxes."""

    title: str
    caption: str
    theme: Theme
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    legend: list[tuple[str, Paint]] = field(default_factory=list)
    across: bool = True
    # For each graph node, the keys of the box that draws it and of the box that draws its output.
    home: dict[int, tuple[str, str]] = field(default_factory=dict)
    tight: bool = False
