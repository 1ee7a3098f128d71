"""Follows the program's own calls of torch.distributed: how often each line made one, and what it
overwrote."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Literal

import torch

from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.sightings.ranks.by_hand import AveragedCopies
from graphlab.observe.sightings.ranks.exchanges import Exchanges, size_of
from graphlab.observe.sightings.ranks.gradientless import GradientlessResults
from graphlab.observe.sightings.ranks.places import handle_lost, waits
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    byte_span,
    count_of,
    is_tensor,
    requires_grad,
    storage_key,
    tensors_in,
    version_of,
)
from graphlab.trace.ranks.sightings import (
    PAIRWISE,
    Carried,
    Communicated,
    Exchanged,
    WithoutGradient,
)

# Of these the first argument is overwritten; of those the first receives what others gave.
IN_PLACE = ("all_reduce", "broadcast", "reduce", "all_reduce_coalesced")
INTO = ("all_gather", "all_gather_into_tensor", "all_gather_single", "all_to_all",
        "all_to_all_single", "reduce_scatter", "reduce_scatter_tensor",
        "reduce_scatter_single")  # fmt: skip
RECEIVING = ("recv", "scatter")
OTHERS = ("barrier", "monitored_barrier", "gather", "send", "all_gather_object",
          "broadcast_object_list", "gather_object", "scatter_object_list")  # fmt: skip
# Those of torch.distributed._functional_collectives, by which DTensors communicate.
FUNCTIONAL = ("all_gather_single", "all_gather_tensor", "all_reduce", "all_to_all_single",
              "broadcast", "reduce_scatter_single", "reduce_scatter_tensor")  # fmt: skip
# Of so many pieces of memory it is kept which ranks overwrote them.
MEMORIES = 1 << 14
_WRAPPER = os.path.join("distributed", "c10d_logger.py")


class Collectives:
    """Handles the tracer's events of torch.distributed's functions."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._tracer, self._files = watched.log, watched.tracer, watched.files
        self._counts: Counter[tuple[Spot, str]] = Counter()
        self._exchanges = Exchanges(watched.files)
        self._gradientless = GradientlessResults(watched)
        self.copies = AveragedCopies(watched.ledger, watched.log)
        # Are told of what is about to be sent to all.
        self.on_sending: list[Callable[[Any], None]] = []
        self._largest, self._pairwise, self._in_graph = 0, False, False
        # How many calls of the program's there were, and the last one of each line.
        self.calls = 0
        self._last: dict[Spot, int] = {}
        # The versions before, of each call that is running, by its frame's identity.
        self._versions: dict[int, list[int]] = {}
        # {memory: the ranks among which it was overwritten last}, where they are not all.
        self._among: dict[int, tuple[int, ...]] = {}
        # The lines that went on before the call was done, and the number of the last barrier.
        self._barrier = 0
        self._unawaited: set[Spot] = set()
        # Those that add up over all ranks.
        self.summing: set[Spot] = set()
        for name in {*IN_PLACE, *INTO, *RECEIVING, *OTHERS, *PAIRWISE}:
            function = getattr(torch.distributed, name, None)
            if function is not None:
                watched.tracer.handle(function, self._handler(name))

        for name in FUNCTIONAL:
            function = getattr(_functional(), name, None)
            if function is not None:
                watched.tracer.handle(function, self._functional_handler(name))

    def counted(
        self,
        spot: Spot | None,
        operation: str,
        elements: int = 0,
        peer: int | None = None,
        group: Any = None,
    ) -> None:
        """A call that communicates, or a forward or backward through a wrapper that does."""
        # A rank alone in its group waits for nobody.
        if spot is not None and size_of(group) not in (0, 1):
            self._counts[spot, operation] += 1
            self._exchanges.note(operation, elements, peer, group)

    def last_call(self, spot: Spot | None) -> int | None:
        """The number of the last call that a line made."""
        return self._last.get(spot) if spot is not None else None

    def among(self, tensor: Any) -> tuple[int, ...]:
        """The ranks among which a collective overwrote a tensor last; none for all, or none."""
        return self._among.get(storage_key(tensor) or -1, ())

    def unshared(self, spot: Spot) -> Literal["in-flight", "reduced", ""]:
        """Why not all ranks have what a line averages, if it is known not to be so."""
        if self._counts[spot, "reduce"]:
            return "reduced"
        return "in-flight" if self.in_flight(spot) else ""

    def in_flight(self, spot: Spot) -> bool:
        """Whether a line lets its calls run on, nothing in the program's files waits for any, or
        for all but the last, and no barrier has come since."""
        if spot not in self._unawaited or self._last.get(spot, 0) < self._barrier:
            return False
        if handle_lost(located(spot)):
            return True
        return not any(own and waits(name) for name, own in [*self._files.known.items()])

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        self._gradientless.inspect(record, nodes)

    def found(self) -> Iterator[WithoutGradient | Communicated | Carried | Exchanged]:
        yield Carried(None, self._largest, self._pairwise, self._in_graph)
        yield from self._exchanges.found()
        yield from self._gradientless.found.values()
        for (spot, operation), count in self._counts.items():
            yield Communicated(located(spot), operation, count)

    def _handler(self, name: str) -> Any:
        writes = name in (*IN_PLACE, *INTO, *RECEIVING)

        def handle(frame: FrameType, event: str, arg: Any) -> None:
            if event == "exception":
                self._versions.pop(id(frame), None)
                return
            operands = [frame.f_locals.get(each) for each in _parameters(frame)]
            if event == "call":
                self._carries(name, operands, self._tracer.spot(frame.f_back))
                # Also what torch calls for the program, as FSDP does in a forward.
                # What goes to each rank may well differ in size.
                given = [] if "all_to_all" in name else operands[name in INTO :][:1]
                self.counted(
                    self._tracer.spot(frame.f_back), name, _elements(given),
                    _peer(frame) if name in PAIRWISE else None, frame.f_locals.get("group"),
                )  # fmt: skip
            caller = self._caller(frame)
            if caller is None:
                return
            targets = [*tensors_in(operands[0])] if operands and writes else []
            group = frame.f_locals.get("group")
            if event == "call":
                self.calls += 1
                self._last[caller.f_code, caller.f_lasti] = self.calls
                if "barrier" in name:
                    self._barrier = self.calls
                whole = group is None and size_of(None) != 1
                if whole and frame.f_locals.get("op") == torch.distributed.ReduceOp.SUM:
                    self.summing.add((caller.f_code, caller.f_lasti))
                if frame.f_locals.get("async_op") is True:
                    self._unawaited.add((caller.f_code, caller.f_lasti))
                self._versions[id(frame)] = [*map(version_of, targets)]
                given = operands[1] if name in INTO and len(operands) > 1 else None
                sent = operands[0] if name in IN_PLACE else given
                # What a part of the ranks averages is no replica of all.
                for each in tensors_in(sent) if size_of(group) == size_of(None) else ():
                    for tell in self.on_sending:
                        tell(each)
                    self.copies.called((caller.f_code, caller.f_lasti), each)
                if name in IN_PLACE and is_tensor(operands[0]):
                    self._gradientless.overwrites(caller, name, operands[0])
                elif is_tensor(given):
                    self._gradientless.brings(caller, name, given)
                return
            before = self._versions.pop(id(frame), [])
            if name == "broadcast" and _is_source(frame):
                return
            written = [
                (key, *byte_span(each), version, version_of(each))
                for each, version in zip(targets, before, strict=False)
                if (key := storage_key(each)) is not None
            ]
            ranks = _ranks_of(group) if written else ()
            for key, *_ in written:
                if ranks:
                    self._among[key] = ranks
                else:
                    self._among.pop(key, None)
            if len(self._among) > MEMORIES:
                self._among.clear()
            if written:
                spot = (caller.f_code, caller.f_lasti)
                silent = all(each[3] == each[4] for each in written)
                seq = self._tracer.seq()
                self._log.write(RawWrite(seq, spot, f"dist.{name}", written, None, silent))

        return handle

    def _functional_handler(self, name: str) -> Any:
        def handle(frame: FrameType, event: str, arg: Any) -> None:
            if event == "call":
                given = [frame.f_locals.get("self")]
                self._carries(name, given)
                self.counted(
                    self._tracer.spot(frame.f_back), name, _elements(given),
                    None, frame.f_locals.get("group"),
                )  # fmt: skip

        return handle

    def _carries(self, name: str, operands: list[Any], spot: Spot | None = None) -> None:
        tensors = [*tensors_in(operands[:2])]
        # The average of one parameter's gradient is that of no other's.
        if name == "all_reduce" and spot and self.copies.of_gradients(spot, operands[0]):
            tensors = []
        sizes = (count_of(each) for each in tensors if not _is_random_state(each))
        self._largest = max(self._largest, *sizes, 0)
        self._pairwise = self._pairwise or name in PAIRWISE
        self._in_graph = self._in_graph or any(map(requires_grad, tensors))

    def _caller(self, frame: FrameType) -> FrameType | None:
        """The frame that calls, where it is the program's own and no Function's forward: one that
        torch itself calls, or that has a backward of its own, is another matter."""
        caller = frame.f_back
        if caller is not None and caller.f_code.co_filename.endswith(_WRAPPER):
            caller = caller.f_back
        if caller is None or caller.f_code not in self._files:
            return None
        outer: FrameType | None = caller
        while outer is not None and outer.f_code in self._files:
            first = outer.f_code.co_varnames[:1]
            context = outer.f_locals.get(first[0]) if first else None
            if isinstance(context, torch.autograd.function.FunctionCtx):
                self._in_graph = True
                return None
            outer = outer.f_back
        return caller


def _functional() -> Any:
    """A module of torch's that is private still, or None."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("torch.distributed._functional_collectives")
    return None


def _ranks_of(group: Any) -> tuple[int, ...]:
    """Those in a group that are not all of the ranks."""
    if group is None or not size_of(group) or size_of(group) == size_of(None):
        return ()
    kind = torch.distributed.ProcessGroup
    found = torch.distributed.get_process_group_ranks(group) if isinstance(group, kind) else ()
    return tuple(found)


def _is_random_state(tensor: Any) -> bool:
    """Whether it may be the state of a random number generator, as accelerate sends before each
    pass over the data."""
    # Both kinds of a state are of bytes; a message of as many is as little a gradient.
    return tensor.dtype is torch.uint8 and count_of(tensor) == count_of(torch.get_rng_state())


def _parameters(frame: FrameType) -> tuple[str, ...]:
    code = frame.f_code
    return code.co_varnames[: code.co_argcount]


def _elements(operands: list[Any]) -> int:
    return sum(map(count_of, tensors_in(operands)))


def _peer(frame: FrameType) -> int | None:
    """The one rank that a call sends to, or receives from; None where any will do."""
    found = [frame.f_locals.get(each) for each in ("dst", "src", "group_dst", "group_src")]
    return next((each for each in found if type(each) is int), None)


def _is_source(frame: FrameType) -> bool:
    """Whether it is this rank's values that a broadcast sends."""
    values = frame.f_locals
    if type(values.get("group_src")) is int:
        return torch.distributed.get_rank(values.get("group")) == values["group_src"]
    return values.get("src") == torch.distributed.get_rank()
