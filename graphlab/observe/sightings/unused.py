"""Finds losses, by the names of variables and of dictionary items, that no backward reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, sequence, walk
from graphlab.observe.lineage.cut import making
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import count_of, grad_fn_of, is_tensor
from graphlab.source.files import user_frame
from graphlab.source.objects import exactly, items, variables
from graphlab.trace.model import Location
from graphlab.trace.sightings import LossUnused

# At how many backwards it must have been there, and parts of names that say what a variable is.
ENOUGH = 4
# How many nodes of its graph are gone through, and how many items of a dictionary.
LARGEST, _ITEMS = 20_000, 32
_WORDS = ("loss", "penalty")
# A total over the iterations is not meant for a backward.
_TOTALS = ("total", "running", "epoch", "sum", "avg", "mean", "ema", "log", "best", "last", "prev")

Key = tuple[CodeType, str]


class UnusedLosses:
    def __init__(self, watched: Watched) -> None:
        self._log, self._files, self._table = watched.log, watched.files, watched.table
        self._seen: Counter[Key] = Counter()
        # The node of the one that was counted last.
        self._last: dict[Key, int] = {}
        # Of each line, what was recorded before its last backward.
        self._backwards: dict[Spot | None, int] = {}
        self._used: set[Key] = set()
        self._made: dict[Key, Location | None] = {}
        self._leads: dict[Key, tuple[int, ...]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        user = user_frame(frame.f_back, self._files)
        if user is None or record.is_grad:
            return
        inside = set(nodes)
        before = self._backwards.get(record.spot, 0)
        self._backwards[record.spot] = record.seq
        for name, value, item in _losses(user):
            node = _node(value)
            if node is None:
                continue
            key = (user.f_code, name)
            if node in inside or any(each in inside for each, _ in node.next_functions):
                self._used.add(key)
            elif self._last.get(key) != sequence(node) and (
                is_tensor(value) or sequence(node) >= before
            ):
                # Not one that is only held still, while other losses are back-propagated, nor one
                # that a list kept of an iteration that is over.
                self._last[key] = sequence(node)
                self._seen[key] += 1
                if key not in self._made:
                    # Where the variable is given it, and not the helper that computes it.
                    whole = is_tensor(value) and not item
                    made = making(user, name, self._files) if whole else None
                    self._made[key] = made or located(self._log.line_of(sequence(node)))
                    leaves = [leaf_of(each) for each in walk([node], LARGEST)]
                    places = [self._table.place_of(p) for p in leaves if p is not None]
                    self._leads[key] = tuple(sorted({p for p in places if p is not None}))

    def found(self) -> Iterator[LossUnused]:
        for key, count in self._seen.items():
            if count >= ENOUGH and key not in self._used:
                yield LossUnused(self._made[key], key[1], count, self._leads[key])


def _losses(frame: FrameType) -> Iterator[tuple[str, Any, bool]]:
    """The variables that are called losses, and whether each is the item of a dictionary."""
    for name, value in variables(frame.f_locals).items():
        if not exactly(value, dict):
            if _is_loss(name):
                yield name, value, False
        elif not _is_total(name):
            for key, one in items(value, _ITEMS):
                named = is_tensor(one) and not _is_total(str(key))
                if named and (_is_loss(str(key)) or _is_loss(name)):
                    yield f"{name}[{_quoted(key)}]", one, True


def _quoted(key: str | int) -> str:
    return f'"{key}"' if type(key) is str else str(key)


def _node(value: Any) -> Any:
    """The node of a loss, or of the last one in a list of them."""
    if type(value) is list and value:
        value = value[-1]
    return grad_fn_of(value) if is_tensor(value) and count_of(value) == 1 else None


def _is_loss(name: str) -> bool:
    return any(word in name.lower() for word in _WORDS) and not _is_total(name)


def _is_total(name: str) -> bool:
    return any(word in name.lower() for word in _TOTALS)
