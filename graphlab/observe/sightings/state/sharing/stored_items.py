"""Notices a data set that changes what it stores as it hands out an item: in place, through a view.

What an item's place held after the first change is compared with what it holds after the next one,
so that a buffer which is filled anew each time is told apart, and a change that is undone.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    Unnoticed,
    base_of,
    byte_span,
    is_tensor,
    readable,
    storage_key,
)
from graphlab.source.effects.handed_out import hands_out
from graphlab.source.objects import attributes, class_name, is_a, items, variables
from graphlab.source.places import locate, statement_at
from graphlab.trace.module_sightings import StoredChanged

# How many places are remembered, how many of a line's must have been changed again, how many frames
# outwards the method of the data set is looked for, and how often; among how many items of a list.
MOST, ENOUGH, DEEP, LOOKS, LISTED = 256, 2, 8, 8, 4096
# What makes a new value of an old one; everything else puts one in its place.
_CHANGES = frozenset((
    "+=", "-=", "*=", "/=", "//=", "**=", "%=", "add_", "sub_", "mul_", "div_", "pow_", "exp_",
    "log_", "sqrt_", "square_", "neg_", "subtract_", "multiply_", "divide_", "true_divide_",
))  # fmt: skip
_METHODS = ("__getitem__", "__getitems__", "__iter__")


@dataclass(slots=True)
class _Line:
    """A line that changes items of a data set of the class `owner`, which its `method` hands out,
    being `within` then. name: the attribute with the items; again: how often it changed one that it
    had changed before; meant: one was as the first time, so it is filled anew."""

    code: CodeType
    offset: int
    method: CodeType
    within: int
    owner: str
    name: str = ""
    again: int = 0
    meant: bool = False


class StoredItems:
    def __init__(self, watched: Watched) -> None:
        self._files, self._guard = watched.files, watched.tracer.guard
        self._lines: dict[tuple[int, int], _Line] = {}
        # How often a line wrote while no data set handed out an item.
        self._elsewhere: Counter[tuple[int, int]] = Counter()
        self._puts_back: dict[tuple[int, int], bool] = {}
        # By what holds the memory: by line and first byte, the values after a change.
        self._places: dict[int, tuple[Ref, dict[tuple[int, int, int], str]]] = {}
        watched.log.on_write.append(self._written)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the writes themselves are seen."""

    def _written(
        self, tensors: Sequence[Any], spot: Spot | None, by: str, caller: FrameType
    ) -> None:
        changes = by.removeprefix("torch.").removesuffix("()") in _CHANGES
        if spot is None or not (changes or self._places):
            return
        try:
            with Unnoticed():
                for each in tensors:
                    if changes:
                        self._changed(each, spot, caller)
                    elif not self._of_augmented(spot):
                        self._places.pop(id(_holder(each)), None)
        except Exception as error:
            # It would propagate into the user's program.
            self._guard(error)

    def _changed(self, tensor: Any, spot: Spot, caller: FrameType) -> None:
        code, offset = spot
        here = id(code), offset
        if self._elsewhere[here] >= LOOKS:
            return
        frame = self._method(caller)
        if frame is None:
            self._elsewhere[here] += 1
        if frame is None or not readable(tensor):
            return
        dataset = variables(frame.f_locals).get("self")
        if not is_a(dataset, torch.utils.data.Dataset):
            return
        holder = _holder(tensor)
        ref, known = self._places.get(id(holder)) or (None, {})
        if ref is None or ref() is not holder:
            if len(self._places) >= MOST:
                return
            ref, known = self._places[id(holder)] = Ref(holder), {}
        line = self._lines.get(here)
        if line is None:
            line = _Line(code, offset, frame.f_code, frame.f_lasti, class_name(dataset))
            self._lines[here] = line
        key, now = (*here, byte_span(tensor)[0]), _sample(tensor)
        before = known.get(key)
        if before is None:
            if len(known) < MOST:
                known[key] = now
        elif before == now:
            line.meant = True
        else:
            line.again += 1
            line.name = line.name or _stored_as(dataset, tensor, holder)

    def _of_augmented(self, spot: Spot) -> bool:
        """Whether it is ``self.data[i] -= mean``, which puts what it has changed back where it lies
        already."""
        here = id(spot[0]), spot[1]
        if here not in self._puts_back:
            at = locate(*spot)
            statement = statement_at(at.file, at.line)
            self._puts_back[here] = isinstance(statement, ast.AugAssign)
        return self._puts_back[here]

    def _method(self, frame: FrameType | None) -> FrameType | None:
        """The frame of the user's data set that hands out an item."""
        for _ in range(DEEP):
            if frame is None:
                return None
            if frame.f_code.co_name in _METHODS and frame.f_code in self._files:
                return frame
            frame = frame.f_back
        return None

    def found(self) -> Iterator[StoredChanged]:
        told: dict[int, StoredChanged] = {}
        for line in self._lines.values():
            at = located((line.code, line.offset))
            if at is None or line.meant or line.again < ENOUGH or not line.name:
                continue
            # A count of how often each item was drawn is no item.
            if not hands_out(line.method, line.name):
                continue
            known = told.get(id(line.method))
            if known is None or known.at is None or at.line < known.at.line:
                told[id(line.method)] = StoredChanged(
                    at, f"self.{line.name}", line.owner, located((line.method, line.within))
                )
        yield from told.values()


def _holder(tensor: Any) -> Any:
    base = base_of(tensor)
    return tensor if base is None else base


def _sample(tensor: Any) -> str:
    """Some of its values as text, in which NaN equals NaN."""
    value = tensor.detach()
    while value.dim() and value.numel() > 8:
        value = value[0] if value.shape[0] == 1 or value.dim() > 1 else value[:8]
    return str(value.tolist())


def _stored_as(dataset: Any, tensor: Any, holder: Any) -> str:
    """The attribute of a data set that holds what was written; "" if none does."""
    key = storage_key(tensor)
    for name, value in attributes(dataset).items():
        if is_tensor(value):
            if key is not None and storage_key(value) == key:
                return name
        elif any(each is holder for _, each in items(value, LISTED)):
            return name
    return ""
