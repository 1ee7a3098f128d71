"""Checksums of running statistics that no wrapper keeps alike: plain attributes, and the buffers of
modules that are not wrapped."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

import torch

from graphlab.observe.distributed.checksums import NOTHING, WHOLE, checksum
from graphlab.observe.names import WRAPPERS, submodules
from graphlab.observe.sightings.ranks.buffers.statistics import Statistic, statistics_of
from graphlab.observe.sightings.ranks.wrappers import Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Unnoticed,
    grad_fn_of,
    is_module,
    is_tensor,
    requires_grad,
    shape_of,
)
from graphlab.source.files import UserFiles, user_frames
from graphlab.source.objects import (
    attribute,
    attributes,
    class_module,
    exactly,
    items,
    static,
    variables,
)
from graphlab.trace.ranks.sightings import OwnBuffer
from graphlab.trace.values import Count

# So many first sampled steps are looked at, of so many statistics, among so many objects so deep.
STEPS, STATISTICS, OBJECTS, DEPTH = 4, 32, 2000, 3


class _Kept:
    def __init__(self, holder: Any, attribute: str, name: str, statistic: Statistic) -> None:
        self.ref, self.attribute, self.name = weakref.ref(holder), attribute, name
        self.statistic = statistic
        self.values: dict[Count, str] = {}
        self.shape: tuple[int, ...] = ()

    def look(self, step: Count) -> None:
        value = _read(self.ref(), self.attribute)
        if value is not None:
            self.shape = shape_of(value)
            self.values[step] = checksum(value)


class KeptStatistics:
    """Looks when an optimizer is built, and at steps that are compared, through the variables of
    the program's frames."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._files, self._wrappers = watched.files, wrappers
        self._kinds: dict[type, dict[str, Statistic]] = {}
        self._found: dict[tuple[int, str], _Kept] = {}
        # The first dimensions of what the program holds: a batch's is among them.
        self._lengths: set[int] = set()
        self._steps = 0
        watched.tracer.handle(torch.optim.Optimizer.__init__, self._built, "call")

    def stepped(self, step: Count) -> None:
        """A step that is compared is about to be made."""
        if self._steps < STEPS:
            self._steps += 1
            self._look(sys._getframe(), step + 1)

    def found(self) -> Iterator[OwnBuffer]:
        for each in self._found.values():
            kept = each.statistic
            # What has a row for each sample may well be the state of this rank's own stream.
            state = not kept.reduces and each.shape and each.shape[0] in self._lengths
            if len(each.values) > 1 and NOTHING not in each.values.values() and not state:
                yield OwnBuffer(
                    None, each.name, None, "", tuple(each.values.items()), kept.used, kept.writes,
                    True,
                )  # fmt: skip

    def _built(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self._steps:
            self._look(frame, 0)

    def _look(self, frame: FrameType, step: Count) -> None:
        with Unnoticed():
            broadcast = {each for one in self._wrappers.all for each in one.inner}
            spaces = [variables(each.f_locals) for each in user_frames(frame, self._files)]
            for space in spaces:
                shapes = (shape_of(each) for each in space.values() if is_tensor(each))
                self._lengths.update(shape[0] for shape in shapes if len(shape) > 1)
            for name, holder in _holders(spaces[::-1], self._files):
                known = self._kinds.get(type(holder))
                if known is None:
                    known = self._kinds[type(holder)] = statistics_of(type(holder), self._files)
                buffers = attributes(holder).get("_buffers") if is_module(holder) else None
                for one, statistic in known.items():
                    if id(holder) in broadcast and type(buffers) is dict and one in buffers:
                        continue
                    self._note(name, holder, one, statistic)
            for each in self._found.values():
                each.look(step)

    def _note(self, name: str, holder: Any, one: str, statistic: Statistic) -> None:
        key = id(holder), one
        if key in self._found or len(self._found) >= STATISTICS or _read(holder, one) is None:
            return
        try:
            kept = _Kept(holder, one, f"{name}.{one}", statistic)
        except TypeError:
            # A class with slots.
            return
        if self._steps:
            if not statistic.constant:
                return
            kept.values[0] = "constant"
        self._found[key] = kept


def _read(holder: Any, name: str) -> Any:
    """The attribute's numbers, where they are plain ones without a graph, as a tensor."""
    value = attribute(holder, name)
    if class_module(value) == "numpy" and type(value).__name__ == "ndarray":
        if value.dtype.kind != "f" or not value.flags.writeable:
            return None
        return torch.from_numpy(value)
    plain = is_tensor(value) and exactly(value, *WHOLE) and value.is_floating_point()
    return value if plain and not requires_grad(value) and grad_fn_of(value) is None else None


def _holders(spaces: list[dict[str, Any]], files: UserFiles) -> Iterator[tuple[str, Any]]:
    """The objects of the program's own classes that variables lead to, and what to call them."""
    waiting = [(name, value, 0) for space in spaces for name, value in space.items()]
    seen: set[int] = set()
    for name, value, depth in waiting:
        if len(seen) >= OBJECTS or id(value) in seen or exactly(value, ModuleType):
            continue
        seen.add(id(value))
        if is_module(value):
            for path, each in submodules(value):
                shown = [part for part in path.split(".") if part and part not in WRAPPERS]
                seen.add(id(each))
                if _is_own(each, files):
                    yield ".".join((name, *shown)), each
                    waiting += _inner(".".join((name, *shown)), each, depth)
        elif _is_own(value, files):
            yield name, value
            waiting += _inner(name, value, depth)
        elif depth < DEPTH and type(value) in (dict, list, tuple):
            waiting += [(f"{name}[{key!r}]", one, depth + 1) for key, one in items(value, 16)]


def _inner(name: str, holder: Any, depth: int) -> list[tuple[str, Any, int]]:
    if depth >= DEPTH:
        return []
    pairs = [*attributes(holder).items()]
    return [(f"{name}.{key}", one, depth + 1) for key, one in pairs if type(key) is str]


def _is_own(value: Any, files: UserFiles) -> bool:
    if isinstance(value, type) or class_module(value).split(".")[0] in ("torch", "builtins"):
        return False
    module = sys.modules.get(str(static(type(value), "__module__")))
    return str(attributes(module).get("__file__")) in files if module is not None else False
