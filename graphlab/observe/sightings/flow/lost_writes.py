"""Finds writes to a weight that is computed anew for each use, as a parametrised one is."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, is_module
from graphlab.source.effects.idle.written_to import attribute_written
from graphlab.source.evaluate import in_frame
from graphlab.source.objects import attribute, attributes
from graphlab.source.places import locate, place, statement_at
from graphlab.trace.model import Location
from graphlab.trace.sightings import ResultDiscarded

# How often a line that writes is looked at: a function may be given one module after another.
LOOKS = 16
# What torch keeps beside a weight that a hook makes of it before each forward.
_KEPT = ("_g", "_orig")


class LostWrites:
    """Asked at the first writes of each line."""

    def __init__(self, watched: Watched) -> None:
        self._guard = watched.tracer.guard
        self._looks: Counter[tuple[int, int]] = Counter()
        self._found: dict[Location, ResultDiscarded] = {}
        watched.log.on_write.append(self._written)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the writes themselves are seen."""

    def found(self) -> Iterator[ResultDiscarded]:
        yield from self._found.values()

    def _written(
        self, tensors: Sequence[Any], spot: Spot | None, by: str, caller: FrameType
    ) -> None:
        if spot is None:
            return
        here = id(spot[0]), spot[1]
        if self._looks[here] >= LOOKS:
            return
        self._looks[here] += 1
        try:
            with Unnoticed():
                self._look(spot, caller)
        except Exception as error:
            # It would propagate into the user's program.
            self._guard(error)

    def _look(self, spot: Spot, caller: FrameType) -> None:
        frame: FrameType | None = caller
        while frame is not None and frame.f_code is not spot[0]:
            frame = frame.f_back
        at = locate(*spot)
        statement = statement_at(at.file, at.line)
        target = attribute_written(statement) if statement is not None else None
        if frame is None or target is None:
            # Nothing that this line writes is looked at again.
            self._looks[id(spot[0]), spot[1]] = LOOKS
            return
        module = in_frame(target.value, frame)
        if is_module(module) and _computed(module, target.attr):
            here = place(statement, at.file, at.function) if statement is not None else at
            name = ast.unparse(target)
            self._found[here] = ResultDiscarded(here, at.code.strip(), name, anew=True)


def _computed(module: Any, name: str) -> bool:
    """Whether a module makes this attribute of its parameters each time."""
    parts = attribute(module, "parametrizations")
    if is_module(parts) and name in attributes(parts).get("_modules", {}):
        return True
    own = attributes(module).get("_parameters", {})
    return name not in own and any(f"{name}{each}" in own for each in _KEPT)
