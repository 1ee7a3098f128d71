"""Notices a load_state_dict(strict=False) that loaded nothing: no key of the two is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import parameters_in, submodules
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, is_tensor, shape_of
from graphlab.source.objects import attributes, items
from graphlab.source.wording import call_text
from graphlab.trace.sightings import NothingLoaded

Shapes = dict[str, tuple[int, ...]]


class EmptyLoads:
    def __init__(self, watched: Watched) -> None:
        self._tracer = watched.tracer
        # By the identity of the first parameter that was to be loaded.
        self._found: dict[int, tuple[Ref, NothingLoaded]] = {}
        watched.tracer.handle(torch.nn.Module.load_state_dict, self._loaded, "return")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def found(self) -> Iterator[NothingLoaded]:
        yield from (each for _, each in self._found.values())

    def _loaded(self, frame: FrameType, event: str, arg: Any) -> None:
        values = frame.f_locals
        module: Any = values.get("self")
        with Unnoticed():
            own, given = _own(module), _given(values.get("state_dict"))
            parameters = parameters_in(module)
            if own.keys() & given.keys():
                # What was not loaded at first is now.
                for each in parameters:
                    known = self._found.get(id(each))
                    if known is not None and known[0]() is each:
                        del self._found[id(each)]
                return
            if arg is None or not parameters or not given or values.get("strict") is not False:
                return
            longer, fits = _prefix(given, own)
            extra = bool(fits)
            if not extra:
                longer, fits = _prefix(own, given)
            # Where not most of them would fit, the values may be another part's.
            if 2 * fits <= min(len(own), len(given)):
                return
            at = located(self._tracer.spot(frame.f_back))
            self._found[id(parameters[0])] = (
                Ref(parameters[0]),
                NothingLoaded(at, call_text(at, "load_state_dict")[0], longer, extra, fits),
            )


def _own(module: Any) -> Shapes:
    """The shapes of what a module would save, by name."""
    return {
        f"{path}.{key}" if path else str(key): shape_of(each)
        for path, part in submodules(module)
        for drawer in ("_parameters", "_buffers")
        for key, each in items(attributes(part).get(drawer))
        if is_tensor(each)
    }


def _given(values: Any) -> Shapes:
    return {str(key): shape_of(each) for key, each in items(values) if is_tensor(each)}


def _prefix(longer: Shapes, shorter: Shapes) -> tuple[str, int]:
    """What most of the names in `longer` have before one in `shorter`, and how many of those fit in
    shape as well."""
    ends: Counter[str] = Counter()
    for name in longer:
        parts = name.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in shorter:
                ends[".".join(parts[:cut]) + "."] += 1
    if not ends:
        return "", 0
    prefix = ends.most_common(1)[0][0]
    return prefix, sum(longer.get(prefix + name) == shape for name, shape in shorter.items())
