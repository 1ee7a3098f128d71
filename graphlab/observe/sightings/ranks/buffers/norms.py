"""Finds batch norms that take their statistics over a few samples of each rank alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from graphlab.observe.graph.walk import operation, sequence, slots
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.notes import Log, RawBackward, located
from graphlab.observe.sightings.ranks.wrappers import Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import shape_of
from graphlab.trace.ranks.sightings import NormOverPart

# So few samples of a rank are told of; so many backwards are looked at.
FEW, LOOKS = 2, 2


class BatchNorms:
    """Is asked at the backwards that are sampled."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._log: Log = watched.log
        self._table: TensorTable = watched.table
        self._wrappers, self._looks = wrappers, 0
        self._found: dict[int, NormOverPart] = {}

    def inspect(self, record: RawBackward, nodes: list[Any]) -> None:
        if self._looks >= LOOKS or not self._wrappers.all or not torch.distributed.is_initialized():
            return
        if torch.distributed.get_world_size() < 2:
            return
        self._looks += 1
        norms = (node for node in nodes if "BatchNorm" in operation(node) and _in_training(node))
        for node in sorted(norms, key=sequence):
            mark = self._log.mark_of(sequence(node))
            module = mark.module if mark is not None else 0
            wrapper = next((each for each in self._wrappers.all if module in each.inner), None)
            count = next(
                (shape_of(each.data)[:1] for each in slots(node) if each.name == "input"), ()
            )
            if module and wrapper is not None and count and count[0] <= FEW:
                name = self._table.module_name(module)
                at, built = located(self._log.line_of(sequence(node))), located(wrapper.spot)
                self._found.setdefault(module, NormOverPart(at, name, count[0], built))

    def found(self) -> Iterator[NormOverPart]:
        yield from self._found.values()


def _in_training(node: Any) -> bool:
    """Private to torch: `_saved_training`, and `_saved_train` of newer nodes; cuDNN's always is."""
    found = getattr(node, "_saved_training", getattr(node, "_saved_train", None))
    return "Cudnn" in operation(node) if found is None else bool(found)
