"""Merges two Traces of one program: of nested sessions, or of a run and its post-mortem."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphlab.trace.model import OptimizerInfo, TensorInfo, Trace

# Fields that hold indices into `Trace.tensors`, `Trace.optimizers` and `Trace.events`.
_TABLES = {
    "tensors": {
        "tensor", "tensors", "subject", "reached", "leftover", "shared", "owns", "touched",
        "others_changed", "strangers", "never_reached",
    },
    "optimizers": {"optimizer", "shared_with", "holders"},
    "events": {"write", "freed_by"},
}  # fmt: skip

Places = Mapping[str, Mapping[int, int]]


def joined(one: Trace, other: Trace) -> Trace:
    """One Trace with the events of `one`, then those of `other`. The outcome is that of `one`.
    Optimizers with the same name and class count as the same optimizer."""
    tensors: list[TensorInfo] = list(one.tensors)
    place = {info: at for at, info in enumerate(tensors)}
    for info in other.tensors:
        if info not in place:
            place[info] = len(tensors)
            tensors.append(info)
    moved = {at: place[info] for at, info in enumerate(other.tensors)}
    optimizers = list(one.optimizers)
    known = {(each.name, each.class_name): at for at, each in enumerate(optimizers)}
    numbers: dict[int, int] = {}
    for at, each in enumerate(other.optimizers):
        key = each.name, each.class_name
        numbers[at] = known.setdefault(key, len(optimizers))
        mine = _move(each, {"tensors": moved})
        if numbers[at] == len(optimizers):
            optimizers.append(mine)
        else:
            optimizers[numbers[at]] = _one_ledger(optimizers[numbers[at]], mine)
    shift = {at: at + len(one.events) for at in range(len(other.events))}
    places = {"tensors": moved, "optimizers": numbers, "events": shift}
    return replace(
        one,
        tensors=tuple(tensors),
        optimizers=tuple(optimizers),
        events=(*one.events, *(_move(each, places) for each in other.events)),
        iterations=max(one.iterations, other.iterations),
        forgotten=(*one.forgotten, *(_move(each, places) for each in other.forgotten)),
        growing=(*one.growing, *other.growing),
        sightings=(*one.sightings, *(_move(each, places) for each in other.sightings)),
        sources={**other.sources, **one.sources},
        unseen=tuple(dict.fromkeys((*one.unseen, *other.unseen))),
    )


def _one_ledger(one: OptimizerInfo, other: OptimizerInfo) -> OptimizerInfo:
    touched = tuple(dict.fromkeys((*one.touched, *other.touched)))
    return replace(
        one,
        steps=one.steps + other.steps,
        owns=tuple(dict.fromkeys((*one.owns, *other.owns))),
        touched=touched,
        shares=one.shares or other.shares,
        cosines=one.cosines or other.cosines,
        by_parameter=one.by_parameter or other.by_parameter,
        elsewhere=one.elsewhere or other.elsewhere,
    )


def _move(value: Any, places: Places) -> Any:
    """A copy of `value` with all indices mapped to those of the merged tables."""
    if isinstance(value, tuple):
        return tuple(_move(each, places) for each in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changes = {}
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        table = next((each for each, names in _TABLES.items() if field.name in names), "")
        moved = places.get(table)
        changes[field.name] = _move(held, places) if moved is None else _moved(held, moved)
    return type(value)(**changes)


def _moved(held: Any, places: Mapping[int, int]) -> Any:
    """The mapped index or indices; -1 and None mean none and stay."""
    if isinstance(held, tuple):
        return tuple(places.get(each, each) for each in held)
    return places.get(held, held) if isinstance(held, int) else held
