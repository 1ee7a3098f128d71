"""Notes that a step which writes FSDP's shards writes the weights that are gathered from them.

Between forward and backward a gathered weight's memory is freed; the backward gathers it anew, with
the version counter put back, so that torch does not see that its values are others by then.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from typing import Any

from graphlab.observe.distributed.checksums import WHOLE
from graphlab.observe.notes import RawWrite, Spot
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import byte_span, grad_of, is_tensor, storage_key, version_of
from graphlab.source.objects import attributes, exactly, items
from graphlab.trace.ranks.sightings import FULLY_SHARD, Wrapped

_FLAT = "torch.distributed.fsdp._flat_param"


class GatheredWeights:
    """Listens to optimizers' steps."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._table = watched.log, watched.table
        # FSDP's own object for each shard, by the shard's identity.
        self._managed: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}
        watched.ledger.on_stepped.append(self._stepped)

    def found(self) -> Iterator[Wrapped]:
        shards = [shard for each in self._log.gathered.values() if (shard := each()) is not None]
        places = [at for each in shards if (at := self._table.place_of(each)) is not None]
        if places:
            yield Wrapped(None, FULLY_SHARD, tuple(places))

    def _stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        if _FLAT not in sys.modules and all(exactly(each, *WHOLE) for each in parameters):
            return
        step = self._log.events[-1]
        written = []
        for shard in parameters:
            whole = self._gathered(shard) if grad_of(shard) is not None else None
            key = storage_key(whole) if whole is not None else None
            if key is None:
                continue
            if key not in self._log.gathered:
                self._log.gathered[key] = weakref.ref(shard)
                self._table.also_at(key, shard)
            # The whole shares the version counter of a flat one alone.
            after = version_of(shard if _is_flat(shard) else whole)
            written.append((key, *byte_span(whole), after - _is_flat(shard), after))
        if written:
            silent = all(each[-1] == each[-2] for each in written)
            self._log.write(RawWrite(step.seq, spot, "step", written, step.optimizer, silent))

    def _gathered(self, shard: Any) -> Any:
        """The whole weight of a shard; None where it is none, or was never gathered."""
        if _is_flat(shard):
            whole = attributes(shard).get("_full_param_padded")
            return whole if is_tensor(whole) else None
        if exactly(shard, *WHOLE):
            return None
        known = self._managed.get(id(shard))
        if known is None or known[0]() is not shard:
            self._managed = {
                id(each): (weakref.ref(each), weakref.ref(managed)) for each, managed in _shards()
            }
            # Of a shard that is none of FSDP's, so that it is looked for once.
            known = self._managed.setdefault(id(shard), (weakref.ref(shard), weakref.ref(shard)))
        whole = attributes(known[1]()).get("_unsharded_param")
        return whole if is_tensor(whole) else None


def _is_flat(shard: Any) -> bool:
    """Whether it is one of FSDP's first wrapper, which keeps all parameters of a module in one.
    Private: `_is_flat_param` and `_full_param_padded`."""
    return _FLAT in sys.modules and attributes(shard).get("_is_flat_param") is True


def _shards() -> Iterator[tuple[Any, Any]]:
    """Each shard, and what FSDP keeps of it. Private: `_module_state_mapping`,
    `_fsdp_param_groups`, `_fsdp_param_group` before torch 2.13, and `fsdp_params`."""
    composed = sys.modules.get("torch.distributed._composable_state")
    mapping = attributes(composed).get("_module_state_mapping") if composed is not None else None
    for reference in [*getattr(mapping, "values", tuple)()]:
        own = attributes(reference())
        groups = own.get("_fsdp_param_groups", [own.get("_fsdp_param_group")])
        for _, group in items(groups):
            for _, managed in items(attributes(group).get("fsdp_params")):
                shard = attributes(managed).get("sharded_param")
                if is_tensor(shard):
                    yield shard, managed
