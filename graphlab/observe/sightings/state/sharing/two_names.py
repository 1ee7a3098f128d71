"""Finds one network under two names that speak of two: a target, a reference or a teacher that is
the very network which is trained, or a pair of critics that is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from types import FrameType
from typing import Any

from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.left_out.held import held_by_libraries
from graphlab.observe.sightings.state.sharing.one_object import (
    line_of_attributes,
    line_of_union,
)
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import is_module
from graphlab.source.files import user_frames
from graphlab.source.objects import attributes, class_module, class_name, items, variables
from graphlab.trace.module_sightings import OneNetwork

# How many variables of a function or object are looked at. Every inspected backward looks, as a
# target may be replaced at any time.
MOST = 256
# What a name says of a network that is not the one which is trained.
_APART = frozenset({"target", "ref", "reference", "teacher", "ema", "momentum", "old", "shadow"})
# Of two of these, which their numbers tell apart, one is there to correct the other.
_TWINS = re.compile(r"(?:.*_)?(?:q|qf|qnet|critic|q_?network)(?:_net)?", re.IGNORECASE)


class TwoNames:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._found: dict[tuple[str, str], OneNetwork] = {}
        # Those that were seen to be two.
        self._two: set[tuple[str, str]] = set()

    def found(self) -> Iterator[OneNetwork]:
        yield from self._found.values()

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad:
            return
        trained = self._watched.ledger.registry.places()
        files = self._watched.files
        for prefix, owner, names, where in self._spaces(frame):
            for (one, mine), (other, theirs) in combinations(list(names.items())[:MOST], 2):
                if not _speak_of_two(one, other):
                    continue
                key = prefix + one, prefix + other
                if not _one_network(mine, theirs):
                    self._two.add(key)
                    continue
                if not any(id(each) in trained for each in parameters_in(mine)):
                    continue
                if key in self._found:
                    continue
                at = line_of_union(*key, where, files)
                if at is None and owner is not None:
                    at = line_of_attributes(owner, one, other, where, files)
                self._found[key] = OneNetwork(at, *key, class_name(mine), key in self._two)

    def _spaces(self, frame: FrameType) -> Iterator[tuple[str, Any, dict[str, Any], FrameType]]:
        """The modules in the variables of each of the user's functions that run, and in the
        attributes of what these hold, by their names, and the frame in which these are read."""
        seen: set[int] = set()
        owners: list[tuple[str, Any, FrameType]] = []
        for each in user_frames(frame, self._watched.files):
            values = variables(each.f_locals)
            yield "", None, _modules(values), each
            owners += [(f"{k}.", v, each) for k, v in values.items() if type(k) is str]
        held = held_by_libraries(Names(self._watched.files), frame, self._watched.files)
        owners += [(f"{class_name(each)}.", each, frame) for each in held]
        for prefix, owner, where in owners:
            if id(owner) not in seen and class_module(owner).partition(".")[0] != "torch":
                seen.add(id(owner))
                inner = attributes(owner)
                held = items(inner.get("_modules")) if is_module(owner) else inner.items()
                yield prefix, owner, _modules(dict(held)), where


def _modules(values: dict[Any, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if type(name) is str and is_module(value)}


def _one_network(one: Any, other: Any) -> bool:
    """Whether two are one object, or have the very same parameters, as copy.copy() leaves them."""
    mine, theirs = parameters_in(one), parameters_in(other)
    return bool(mine) and [*map(id, mine)] == [*map(id, theirs)]


@lru_cache(maxsize=4096)
def _speak_of_two(one: str, other: str) -> bool:
    apart = [
        _APART.intersection(re.split(r"_+|(?<=[a-z])(?=[A-Z])", each)) for each in (one, other)
    ]
    if bool(apart[0]) != bool(apart[1]):
        return True
    stems = {re.sub(r"_?\d+", "", each) for each in (one, other)}
    numbered = all(re.search(r"\d", each) for each in (one, other))
    return numbered and len(stems) == 1 and _TWINS.fullmatch(stems.pop()) is not None
