"""Checksums of the networks that a program computes with and does not train."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Iterator
from itertools import islice
from typing import Any

from graphlab.observe.distributed.checksums import NOTHING, WHOLE, checksum
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import RawModule, RawWrite, Spot, located
from graphlab.observe.sightings.ranks.wrappers import Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import requires_grad, storage_key
from graphlab.source.objects import exactly
from graphlab.source.wording import written_by
from graphlab.trace.ranks.inputs import Frozen

# So many modules are looked at, at so many backwards; of one, so many parameters; and so far back.
MODULES, LOOKS, PARAMETERS, BACK = 8, 6, 64, 1024


class _Seen:
    def __init__(self, module: Any, spot: Spot | None) -> None:
        self.ref, self.spot = weakref.ref(module), spot
        # By the number of the look.
        self.values: dict[int, str] = {}
        self.write: RawWrite | None = None


class FrozenModules:
    """Is asked at the backwards that are sampled, for the modules that were called by then."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._log, self._table, self._ledger = watched.log, watched.table, watched.ledger
        self._wrappers = wrappers
        self._seen: dict[int, _Seen] = {}
        self._looks = 0

    def inspect(self) -> None:
        if self._looks >= LOOKS or not self._wrappers.all:
            return
        self._looks += 1
        trained = {each for one in self._wrappers.all for each in one.known}
        for state, _ in self._ledger.registry.followed():
            trained.update(state.identities)
        for spot, module in self._called():
            parameters = [*parameters_in(module)]
            if not parameters or any(map(requires_grad, parameters)):
                continue
            if not all(exactly(each, *WHOLE) for each in parameters):
                continue
            if trained.intersection(map(id, parameters)):
                continue
            known = self._seen.get(id(module))
            if known is None or known.ref() is not module:
                if len(self._seen) >= MODULES:
                    continue
                known = self._seen[id(module)] = _Seen(module, spot)
            sums = [*map(checksum, parameters[:PARAMETERS])]
            if NOTHING not in sums:
                whole = hashlib.blake2b(" ".join(sums).encode(), digest_size=6)
                known.values[self._looks] = whole.hexdigest()
            known.write = known.write or self._write_to(parameters)

    def found(self) -> Iterator[Frozen]:
        for own, each in self._seen.items():
            if each.values:
                name = self._table.module_name(own)
                values, looks = tuple(each.values.values()), tuple(each.values)
                at = located(each.write.spot) if each.write is not None else None
                by = written_by(at, each.write.by, each.write.direct) if each.write else ""
                yield Frozen(located(each.spot), name, values, looks, at, by)

    def _write_to(self, parameters: list[Any]) -> RawWrite | None:
        """The program's last write to one of them."""
        keys = {storage_key(each) for each in parameters}
        for event in islice(reversed(self._log.events), BACK):
            told = isinstance(event, RawWrite) and event.spot is not None
            if told and any(each[0] in keys for each in event.tensors):
                return event
        return None

    def _called(self) -> Iterator[tuple[Spot | None, Any]]:
        """The modules that the program itself called of late, each once."""
        told: set[int] = set()
        for event in islice(reversed(self._log.events), BACK):
            if isinstance(event, RawModule) and event.module not in told:
                told.add(event.module)
                ref = self._log.modules.get(event.module)
                module = ref() if ref is not None else None
                if module is not None:
                    yield event.spot, module
