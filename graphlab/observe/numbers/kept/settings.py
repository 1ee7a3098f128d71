"""Notices settings of an optimizer that spoil its step: a learning rate that is not finite, an eps
of 0."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from graphlab.language import Message, key_of, message
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.source.objects import attributes, items
from graphlab.trace.sightings import NonFinite


class OddRate(NamedTuple):
    """The first step that an optimizer took at a rate that is not finite, `said` in words; record:
    the backward before it."""

    record: RawBackward
    spot: Spot | None
    said: str


class Rates:
    def __init__(self) -> None:
        self._odd: dict[int, OddRate] = {}

    def stepping(self, state: OptimizerState, last: RawBackward, spot: Spot | None) -> None:
        """A step is about to begin."""
        groups = attributes(state.ref()).get("param_groups")
        for group in groups if type(groups) is list else ():
            if type(group) is not dict:
                continue
            # Compared, as a call for every step costs more.
            if type(rate := group.get("lr")) is float and not -math.inf < rate < math.inf:
                self._odd.setdefault(state.at, OddRate(last, spot, _said("lr", rate)))

    def of(self, at: int, since: RawBackward | None) -> OddRate | None:
        """That of the optimizer at place `at`, where it was not before the backward `since`."""
        found = self._odd.get(at)
        before = since is not None and found is not None and found.record.seq < since.seq
        return None if before else found


def with_setting(seen: NonFinite, optimizer: Any) -> NonFinite:
    """With the setting that made an operation inside of a step give what is not finite."""
    if seen.phase != "step" or not seen.operation:
        return seen
    for group in _groups(optimizer):
        rate, eps = group.get("lr"), group.get("eps")
        if type(rate) is float and not math.isfinite(rate):
            return replace(seen, critical=_said("lr", rate))
        zero = isinstance(seen.critical, Message) and "observed.values.zero" in map(
            key_of, seen.critical.arguments.values()
        )
        if zero and type(eps) in (int, float) and eps == 0:
            some = {"some": seen.critical, "name": "eps", "value": f"{eps:g}"}
            return replace(seen, critical=message("observed.values.and_setting", **some))
    return seen


def _said(name: str, value: float) -> str:
    return message("observed.values.setting", name=name, value=f"{value:g}")


def _groups(optimizer: Any) -> Iterator[dict[str, Any]]:
    for _, group in items(attributes(optimizer).get("param_groups")):
        if type(group) is dict:
            yield group
