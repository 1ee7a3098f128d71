"""Notes each write by the version counter, while torch's functions that write are patched.

A wrapper (wrappers.py) compares the version counter before and after, so a function that does not
write after all is not noted.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.restored import memory_of, place_of
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.hooks.wrappers import WRAPPERS
from graphlab.observe.notes import Log, Memory, RawWrite
from graphlab.observe.tensors import (
    Unnoticed,
    WeakMap,
    base_of,
    byte_span,
    is_tensor,
    storage_key,
    version_of,
    versions_of,
)
from graphlab.source.objects import exactly

# How many threads there are beside the main one. Private to Python; where it is not there, there
# always may be another.
_others: Callable[[], int] = getattr(_thread, "_count", lambda: 1)


class WritePatches:
    """Patches on `start()`, restores exactly what was there on `stop()`."""

    def __init__(self, log: Log, tracer: LineTracer, on_refusal: Callable[..., None]) -> None:
        self._log = log
        self._tracer = tracer
        self.on_refusal = on_refusal
        self.detached = WeakMap()
        # The threads in which nothing is noted: the observer is working there, or an optimizer's
        # step is running.
        self.quiet = WRAPPERS.quiet
        # The thread in which a step is running, while there is no other: not to ask each time.
        self._alone = WRAPPERS.alone
        # Both, as they were when this session was suspended.
        self._before: tuple[set[int], set[int]] = set(), set()

    def hush(self) -> None:
        """Note nothing in this thread: a step runs in it."""
        self.quiet.add(get_ident())
        if not _others():
            self._alone.add(get_ident())

    def unhush(self) -> None:
        """Note again what this thread writes."""
        self._alone.clear()
        self.quiet.discard(get_ident())
        if WRAPPERS.session is not self:
            self._before[0].discard(get_ident())
            self._before[1].clear()

    def start(self) -> None:
        WRAPPERS.session = self
        for now, before in zip((self.quiet, self._alone), self._before, strict=True):
            now.clear()
            now.update(before)
        WRAPPERS.put_in()

    def stop(self) -> None:
        """Safe to call twice."""
        if WRAPPERS.session is self:
            WRAPPERS.take_out()
            WRAPPERS.session = None
            self._before = {*self.quiet}, {*self._alone}

    def put_in(self, guarded: bool) -> None:
        """Patch again after a compilation, what the program has not patched since. If it was
        `guarded`, only Tensor's members: a guard of the compiled code checks torch's functions by
        identity."""
        if WRAPPERS.session is self:
            WRAPPERS.put_back(guarded)

    def take_out(self) -> None:
        """Restore torch's functions, except where the program has replaced a patch since."""
        if WRAPPERS.session is self:
            WRAPPERS.take_out()

    def write_others(self, original: Any, by: str, target: Any, args: Any, kwargs: Any) -> Any:
        """Call `original` for a list of tensors, a subclass, or something that is no tensor."""
        targets = target if exactly(target, list, tuple) else (target,)
        if not all(is_tensor(each) for each in targets):
            # Such as torch.fx's Proxy, which records every attribute that is read from it.
            return original(*args, **kwargs)
        with Unnoticed():
            before = versions_of([*targets])
            data = self.data_of(target) if targets is not target else None
            memory = memory_of(data) if data is not None else None
        try:
            result = original(*args, **kwargs)
        except RuntimeError:
            for each in targets:
                self.on_refusal(each, by, sys._getframe(2))
            raise
        with Unnoticed():
            self.note(targets, before, by, depth=3, memory=memory)
        return result

    def note(
        self,
        tensors: Any,
        before: Any,
        by: str,
        silent: bool = False,
        depth: int = 2,
        memory: Memory | None = None,
    ) -> None:
        """Log one write to `tensors`, whose versions were `before`. `silent`: no version counter
        shows it. `depth` is the caller's, as for `sys._getframe`; `memory`, what the tensor read
        before a silent one."""
        tracer = self._tracer
        written = []
        for tensor, old in zip(tensors, before, strict=True):
            new = version_of(tensor)
            key = storage_key(tensor)
            if key is not None and (silent or new != old):
                written.append((key, *byte_span(tensor), old, new))
                silent = silent or self.data_of(tensor) is not None
        if written:
            caller = sys._getframe(depth)
            spot = tracer.spot(caller)
            direct = spot is not None and caller.f_code is spot[0]
            # Each thread has its own count of nodes: a write in another one gets the last mark's.
            seq = tracer.seq()
            self._log.write(
                RawWrite(seq, spot, by, tuple(written), None, silent, direct, before=memory)
            )
            for each in self._log.on_write:
                each(tensors, spot, by, caller)

    def note_place(self, target: Any, given: Any, caller: FrameType) -> None:
        """`target` was given what lay at a place: perhaps its own."""
        if given is not None and given == place_of(target):
            spot = self._tracer.spot(caller)
            if spot is not None:
                self._log.onto_itself[spot] += 1

    def data_of(self, tensor: Any) -> Any:
        """What came from `.data`, if `tensor` did or is a view of it: its version counter is its
        own. None otherwise."""
        if not self.detached:
            return None
        base = base_of(tensor)
        for each in (tensor, base) if base is not None else (tensor,):
            if self.detached.get(each):
                return each
        return None

    def written(self, stats: tuple[Any, ...], by: str) -> None:
        """Log a write to `stats` that bumped no version."""
        with Unnoticed():
            self.note(stats, versions_of([*stats]), by, depth=3, silent=True)

    def hook_used(self) -> None:
        """What a backward leaves in a result's `.grad` adds up, so that none may be run more than
        once from then on (optimizers/harm.py)."""
        self._log.hooks_used = True

    def read_data(self, alias: Any) -> None:
        """`alias` is what `.data` of a tensor gave."""
        if get_ident() not in self.quiet:
            self.detached.put(alias, True)

    def assign_data(self, target: Any, assign: Callable[[], None]) -> None:
        """`p.data = new` changes what a saved `p` reads, but no version counter."""
        if get_ident() in self.quiet or _FSDP in sys._getframe(2).f_code.co_filename:
            assign()
            return
        with Unnoticed():
            memory, place = memory_of(target), place_of(target)
        with WRAPPERS.without(torch.Tensor, "data"):
            assign()
        with Unnoticed():
            versions = (version_of(target),)
            if memory is not None:
                memory = memory._replace(reader=id(target))
            self.note((target,), versions, ".data = …", depth=3, silent=True, memory=memory)
            self.note_place(target, place, sys._getframe(2))


# FSDP's first wrapper, where it puts the whole parameter in its shard's place, and back: the values
# are the same.
_FSDP = os.path.join("torch", "distributed", "fsdp", "")
