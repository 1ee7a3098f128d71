"""Optimizers that the same calls make again and again, one after another, as where every task has
its own: once several were alike, the next are looked at in samples."""

from __future__ import annotations

from collections.abc import Hashable
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.names import Names, parameters_of
from graphlab.observe.price.sampling import sampled
from graphlab.observe.tensors import Named, describe
from graphlab.source.files import UserFiles, calls_key
from graphlab.trace.values import TensorInfo

# So many in a row that were called the same, with the same parameters, tell what the next one is.
ALIKE = 8


class Series:
    """What the optimizers have shown that one chain of calls makes."""

    def __init__(self) -> None:
        self._made = self._alike = 0
        # The last one's name, and its parameters.
        self._name: str | None = None
        self._parameters: tuple[TensorInfo, ...] = ()
        self._kinds: set[Hashable] = set()

    def foretold(self, optimizer: Any, files: UserFiles) -> Names | None:
        """The names of one that is made now and of its parameters, if the last ones tell them."""
        self._made += 1
        parameters = parameters_of(optimizer)
        if (
            self._alike < ALIKE
            or sampled(self._made)
            or len(parameters) != len(self._parameters)
            or any(
                describe(parameter, info.name, info.kind, info.owner) != info
                for parameter, info in zip(parameters, self._parameters, strict=True)
            )
        ):
            return None
        names = Names(files)
        for parameter, info in zip(parameters, self._parameters, strict=True):
            if info.name is not None:
                names.tensors[id(parameter)] = Named(info.name, info.kind, info.owner)
        if self._name is not None:
            names.optimizers[id(optimizer)] = self._name
        return names

    def shown(self, name: str | None, parameters: tuple[TensorInfo, ...]) -> None:
        """One of them was called so at its first step."""
        same = (name, parameters) == (self._name, self._parameters)
        self._alike = self._alike + 1 if same else 0
        self._name, self._parameters = name, parameters

    def stepped(self, kind: Hashable) -> None:
        """One of them takes a step; after the first of a kind, the next ones are looked at."""
        if kind not in self._kinds:
            self._kinds.add(kind)
            self._alike = 0


class AllSeries:
    """The series of a program, each by the user's frames that make its optimizers."""

    def __init__(self) -> None:
        self._series: dict[tuple[int, ...], Series] = {}
        # The codes of the keys, which are known by their identity.
        self._codes: list[CodeType] = []

    def of(self, frames: list[FrameType]) -> Series:
        key = calls_key(frames)
        found = self._series.get(key)
        if found is None:
            self._codes += [each.f_code for each in frames]
            found = self._series[key] = Series()
        return found
