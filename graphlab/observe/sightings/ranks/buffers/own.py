"""Checksums of the buffers that DistributedDataParallel was told not to broadcast."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.distributed.checksums import checksum
from graphlab.observe.names import submodules
from graphlab.observe.notes import located
from graphlab.observe.sightings.ranks.buffers.uses import Uses, uses_of
from graphlab.observe.sightings.ranks.wrappers import Wrapper, Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, readable, shape_of, tensors_in
from graphlab.source.objects import attribute, attributes, class_module, items
from graphlab.trace.ranks.sightings import OwnBuffer
from graphlab.trace.values import Count

# So many of one wrapper's buffers are compared, at so many of its first sampled steps.
BUFFERS, STEPS = 64, 4


class _Buffer:
    """One of them; `module` has it by `name`, and the wrapped module by `path`."""

    def __init__(self, module: Any, name: str, path: str, shape: tuple[int, ...]) -> None:
        self.ref, self.name, self.path = weakref.ref(module), name, path
        # Where a batch may lie, as in the state of a recurrent layer: (layers, batch, width).
        self.dimensions = {*shape[: 1 if len(shape) < 3 else 2]}
        # By the number of the optimizer's step, 0 for when the wrapper was built.
        self.values: dict[Count, str] = {}
        # A parameter beside it, and its path; the module may be gone at the end.
        self.beside: tuple[int, str] | None = None
        self.uses: Uses | None = None

    def look(self, step: Count) -> None:
        buffers = attributes(self.ref()).get("_buffers")
        value = buffers.get(self.name) if type(buffers) is dict else None
        self.values[step] = checksum(value)


class OwnBuffers:
    """Handles the wrappers' forwards, to know which dimensions are those of a batch."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._files, self._wrappers = watched.files, wrappers
        self._of: dict[int, list[_Buffer]] = {}
        # The identities of the wrappers themselves.
        self._made_off: set[int] = set()
        self._batches: set[int] = set()
        # How many forwards have been made since the last backward, and whether ever several.
        self._forwards, self._several = 0, False
        kind = torch.nn.parallel.DistributedDataParallel
        watched.tracer.handle(kind.forward, self._forward, "call")
        wrappers.on_made.append(self._made)

    def stepped(self, step: Count) -> None:
        """A step that is compared is about to be made."""
        for wrapper in self._wrappers.all:
            for each in self._of.get(id(wrapper), ()):
                if len(each.values) > STEPS:
                    continue
                each.look(step + 1)
                module = each.ref()
                if each.uses is None and module is not None:
                    each.beside = self._wrappers.first_named(wrapper)
                    with Unnoticed():
                        each.uses = uses_of(module, each.name, self._files)

    def ended(self) -> None:
        """A backward has run."""
        self._several = self._several or self._forwards > 1
        self._forwards = 0

    def found(self) -> Iterator[OwnBuffer]:
        for wrapper in self._wrappers.all:
            for each in self._of.get(id(wrapper), ()):
                uses, beside = each.uses, each.beside
                state = each.dimensions & self._batches
                if uses is not None and beside is not None and not state:
                    yield OwnBuffer(
                        located(wrapper.spot), each.path, *beside, tuple(each.values.items()),
                        uses.at, uses.writes, uses.grows, self._several,
                    )  # fmt: skip

    def _made(self, ddp: Any, wrapper: Wrapper) -> None:
        known = attributes(ddp)
        if known.get("forward_sync_buffers", known.get("broadcast_buffers")) is not False:
            return
        self._made_off.add(id(ddp))
        found = self._of[id(wrapper)] = [*_buffers_in(attribute(ddp, "module"))][:BUFFERS]
        for each in found:
            each.look(0)

    def _forward(self, frame: FrameType, event: str, arg: Any) -> None:
        if id(frame.f_locals.get("self")) not in self._made_off:
            return
        self._forwards += torch.is_grad_enabled()
        if len(self._batches) < BUFFERS:
            given = [frame.f_locals.get(each) for each in ("inputs", "kwargs")]
            shapes = (shape_of(each) for value in given for each in tensors_in(value))
            self._batches.update(shape[0] for shape in shapes if shape)


def _buffers_in(module: Any) -> Iterator[_Buffer]:
    """Those of the program's own modules that are saved with them. Private to torch:
    `_non_persistent_buffers_set`, without which all of them are."""
    for path, each in submodules(module):
        own = attributes(each)
        transient = own.get("_non_persistent_buffers_set")
        if class_module(each).startswith("torch."):
            continue
        for name, value in items(own.get("_buffers")):
            if type(transient) is set and name in transient:
                continue
            if readable(value) and value.is_floating_point():
                yield _Buffer(each, str(name), f"{path}.{name}".lstrip("."), shape_of(value))
