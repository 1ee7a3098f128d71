"""Notes what DistributedDataParallel's broadcast of buffers overwrites, which no counter shows."""

from __future__ import annotations

from types import FrameType
from typing import Any

import torch

from graphlab.language import message
from graphlab.observe.notes import RawWrite
from graphlab.observe.price.sampling import sampled
from graphlab.observe.sightings.ranks.collectives import Collectives
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Unnoticed,
    byte_span,
    count_of,
    readable,
    storage_key,
    version_of,
)
from graphlab.source.objects import attributes, items
from graphlab.trace.ranks.sightings import BROADCAST

# At most so many elements of one wrapper's buffers are copied before a broadcast.
ELEMENTS = 1 << 16
# So many of a wrapper's first broadcasts are looked at.
FIRST = 8


class BufferBroadcasts:
    """Handles the tracer's events of the broadcast before a forward. Private to torch:
    `DistributedDataParallel._sync_buffers`, `_sync_module_buffers` and `modules_buffers`; without
    them it sees nothing."""

    def __init__(self, watched: Watched, collectives: Collectives) -> None:
        self._log, self._tracer = watched.log, watched.tracer
        self._collectives = collectives
        self._count: dict[int, int] = {}
        # The buffers before a broadcast: each with its version and a copy.
        self._before: list[tuple[Any, int, Any]] = []
        ddp = torch.nn.parallel.DistributedDataParallel
        for name, handler in (
            ("_sync_module_buffers", self._begins),
            ("_sync_buffers", self._ended),
        ):
            if hasattr(ddp, name):
                watched.tracer.handle(getattr(ddp, name), handler)

    def _begins(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call":
            return
        ddp = frame.f_locals.get("self")
        count = self._count[id(ddp)] = self._count.get(id(ddp), 0) + 1
        self._before, room = [], ELEMENTS
        self._collectives.counted(self._tracer.spot(frame.f_back), "forward")
        if count > FIRST and not sampled(count):
            return
        with Unnoticed(), torch.no_grad():
            for _, buffer in items(attributes(ddp).get("modules_buffers")):
                if readable(buffer) and buffer.is_floating_point() and count_of(buffer) <= room:
                    room -= count_of(buffer)
                    self._before.append((buffer, version_of(buffer), buffer.detach().clone()))

    def _ended(self, frame: FrameType, event: str, arg: Any) -> None:
        """The version counters are what they will stay."""
        if event == "call":
            return
        before, self._before = self._before, []
        if event != "return":
            return
        with Unnoticed(), torch.no_grad():
            written = [
                (key, *byte_span(buffer), version, version_of(buffer))
                for buffer, version, values in before
                if (key := storage_key(buffer)) is not None
                and not torch.equal(buffer.detach(), values)
            ]
        if written:
            silent = all(each[3] == each[4] for each in written)
            spot = self._tracer.spot(frame.f_back)
            self._log.write(
                RawWrite(self._tracer.seq(), spot, message(BROADCAST), written, None, silent, False)
            )
