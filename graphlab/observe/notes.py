"""The raw log: what the hooks note on the hot path, as small tuples in bounded lists.

Names and lines are looked up later: that costs far more, and few entries are ever needed.
"""

from __future__ import annotations

import ast
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, NamedTuple

from graphlab.observe.marks.threads import ThreadMarks
from graphlab.observe.tensors import Named
from graphlab.source.places import Spots, locate, place
from graphlab.trace.model import Carrier, FailedNode, Location, Refusal, TensorInfo, Trouble
from graphlab.trace.values import Twice

# At ten events a step, hundreds of iterations, in a few megabytes.
KEEP_EVENTS = 8_000
# Those that are looked at first, from the newest on.
FEW_EVENTS = 64

# An instruction's offset in its code. ``~offset`` says instead "somewhere on the statement that it
# belongs to": `on_statement` makes one of the other, where no microsecond counts.
Offset = int
Spot = tuple[CodeType, Offset]


def located(spot: Spot | None) -> Location | None:
    """The location of a spot, None for None."""
    return locate(*spot) if spot is not None else None


def on_statement(offset: Offset) -> Offset:
    """The offset that stands for the whole statement of an instruction."""
    return ~offset


# A function that a guard decorates, or a ``with`` by its spot.
GuardPlace = tuple[CodeType, Offset | None]


# (storage key, first byte, end byte, version before, version after)
Written = tuple[int, int, int, int, int]


class Memory(NamedTuple):
    """Bytes `start` to `stop` of a storage, and a hash of what they held; None if not read."""

    storage: int
    start: int
    stop: int
    digest: int | None
    # The id of the one tensor that reads elsewhere from then on, where no memory was written.
    reader: int = 0
    # Sizes, strides and offset, in bytes, of the part that was written; None if not known.
    part: tuple[tuple[int, ...], tuple[int, ...], int] | None = None


class RawWrite(NamedTuple):
    seq: int
    spot: Spot | None
    by: str
    tensors: Sequence[Written]
    optimizer: int | None = None
    silent: bool = False
    direct: bool = True
    # Where it was concluded from torch's own record, not seen: its place, and why.
    at: Location | None = None
    inferred: str = ""
    thread: int = 0
    # Of a silent one, the memory that the tensor read before it.
    before: Memory | None = None

    def stays(self) -> bool:
        """Whether a tensor was given as its `.data` what it had already, as by cpu() and to()."""
        given = self.before if self.before is not None and self.before.reader else None
        return given is not None and all(given.storage == each[0] for each in self.tensors)


class RawRefused(NamedTuple):
    seq: int
    spot: Spot | None
    by: str
    info: TensorInfo
    kind: Refusal
    iteration: int | None
    made: Location | None = None
    # The write that its base had, where it was not the write that was refused.
    write: RawWrite | None = None
    made_by: str = ""


class RawZero(NamedTuple):
    seq: int
    spot: Spot | None
    iteration: int | None


class RawModule(NamedTuple):
    seq: int
    spot: Spot | None
    module: int


class Cut:
    """The expression `node` at which a value lost its graph; `by` is how it was written."""

    __slots__ = ("by", "file", "function", "node")

    def __init__(self, node: ast.AST, by: str, file: str, function: str) -> None:
        self.node, self.by, self.file, self.function = node, by, file, function

    def location(self) -> Location:
        return place(self.node, self.file, self.function)


class CutAt(Cut):
    """As a Cut, for a line that is known by its location."""

    __slots__ = ("at",)

    def __init__(self, at: Location, by: str) -> None:
        super().__init__(ast.Pass(), by, at.file, at.function)
        self.at = at

    def location(self) -> Location:
        return self.at


@dataclass(frozen=True, slots=True)
class Harm:
    """How far the gradient that was applied is from the right one."""

    cosine: float
    relative_error: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the part of the graph that leads only to `group` meets the rest: the line that used
    `variable`, which that part had computed."""

    group: frozenset[int]
    seq: int
    spot: Spot | None
    variable: str | None


@dataclass(frozen=True, slots=True)
class GraphParts:
    """Counts of nodes, and bytes that they saved, by the optimizers (indices) they lead to."""

    nodes: dict[frozenset[int], int]
    saved: dict[frozenset[int], int]
    crossings: tuple[Crossing, ...]


class Problem:
    """One saved tensor that is not what backward expects, before it becomes a trace.Saved."""

    __slots__ = (
        "alone", "at", "dtype", "freed_by", "module", "named", "operation", "recorded",
        "saved_version", "seq", "shape", "spot", "state", "version", "within", "write",
    )  # fmt: skip

    def __init__(self, seq: int, op: str, spot: Spot | None, module: str | None, state: str):
        self.seq, self.operation, self.spot, self.module = seq, op, spot, module
        self.state = state
        self.named: Named | None = None
        self.shape: tuple[int, ...] = ()
        self.dtype = ""
        self.version: int | None = None
        self.saved_version: int | None = None
        self.write: RawWrite | None = None
        self.freed_by: RawBackward | None = None
        # Where it was saved, if torch itself says so.
        self.at: Location | None = None
        # As in trace.Saved.
        self.recorded = self.alone = False
        # The statement that was running then in the function which the backward is called from.
        self.within: Spot | None = None


class RawBackward:
    """One backward, as it begins; what is learned of it later, of a few, has these values until
    then. Compared by identity: two events are never the same one."""

    reached: tuple[int, ...] = ()
    thrown_away = 0
    # Its graph by optimizer, if inspected; the parameters whose gradients were lost, and to what.
    parts: GraphParts | None = None
    thrown: tuple[int, ...] = ()
    thrown_at: Spot | None = None
    harm: Harm | None = None
    # What is known of its line (backward_calls.py).
    line: Any = None
    # Whether some step applied its gradients, whether some of them were cleared before any did, and
    # the call that cleared them.
    applied = lost = False
    # Whether it is one of the first of its line (optimizers/provenance.py); of these, the call that
    # cleared the gradients of each parameter before any step had applied them.
    remembered = False
    lost_to: dict[int, Spot | None] | None = None
    cleared_at: Spot | None = None
    # The GradScaler that has scaled its loss.
    scaler: weakref.ref[Any] | None = None
    # The node that it began at, if it was inspected, and those that it adds up; and, where another
    # backward had freed its graph, what its loss is to that one's.
    root = -1
    summed: tuple[int, ...] = ()
    twice: Twice = ""
    raised_type: str | None = None
    problems: Sequence[Problem] = ()
    completed = False
    trouble: Trouble | None = None
    subject: TensorInfo | None = None
    cut: Cut | None = None
    nodes: int | None = None
    carriers: tuple[Carrier, ...] = ()
    node: FailedNode | None = None
    covered: frozenset[int] | None = None
    leads_to: tuple[int, ...] = ()

    def __init__(
        self,
        seq: int,
        spot: Spot | None,
        call: str,
        loss: str,
        iteration: int | None,
        retain_graph: bool,
        is_grad: bool = False,
        nested: bool = False,
    ) -> None:
        self.seq, self.spot, self.call, self.loss = seq, spot, call, loss
        self.iteration, self.retain_graph = iteration, retain_graph
        self.is_grad, self.nested = is_grad, nested
        self.thread = get_ident()


# Compared by identity, as a RawBackward is.
@dataclass(slots=True, eq=False)
class RawStep:
    seq: int
    spot: Spot | None
    optimizer: int
    iteration: int | None
    sources: tuple[str, ...] = ()
    mix: Any = None
    leftover: tuple[int, ...] = ()
    nothing_new: bool = False
    shared: tuple[int, ...] = ()
    shared_with: int | None = None
    again: Spot | None = None


class Events(deque[Any]):
    """In order of time, the last ones alone. May be read while other threads add to them, which a
    deque of its own refuses."""

    def __init__(self, before: Iterable[Any] = ()) -> None:
        super().__init__(before, KEEP_EVENTS)

    def __iter__(self) -> Iterator[Any]:
        return reversed(self._newest(None))

    def __reversed__(self) -> Iterator[Any]:
        # Who asks for the newest first rarely needs all of them.
        few = self._newest(FEW_EVENTS)
        yield from few
        if len(few) == FEW_EVENTS:
            older = iter(self._newest(None))
            for each in older:
                if each is few[-1]:
                    break
            yield from older

    def _newest(self, count: int | None) -> list[Any]:
        while True:
            try:
                return [*islice(super().__reversed__(), count)]
            except RuntimeError:
                # Another thread came in between, as it may while Python frees memory.
                continue

    def lost_since(self, seq: int) -> bool:
        """Whether events have been let go that came after the node `seq`."""
        return len(self) == KEEP_EVENTS and self[0].seq > seq

    def put(self, event: Any, before: Any) -> None:
        """`event` goes to where it must have been, while there is room."""
        newer = self._newest(None)
        at = next((n for n, each in enumerate(newer, 1) if each is before), 0)
        if at and len(newer) < KEEP_EVENTS:
            super().insert(len(newer) - at, event)


class Log(ThreadMarks):
    """Marks of each thread in order of `seq` and events in order of time, both bounded."""

    def __init__(self) -> None:
        super().__init__()
        # The count of nodes at the start, and whether the program has asked since for any hook on
        # tensors, modules or nodes, or for the gradient of a result.
        self.began = 0
        self.hooks_used = False
        self.events = Events()
        self.spots = Spots()
        # The lines whose nodes each backward call has been seen to run through.
        self.reach: dict[Spot, set[Spot]] = {}
        self.memory: deque[tuple[RawWrite, int, int]] = deque(maxlen=2_000)
        # The last write of each line that no version counter shows.
        self.silent: dict[Spot | None, int] = {}
        # How often each line has copied a tensor into the memory that it lay in already.
        self.onto_itself: Counter[Spot] = Counter()
        # Told of each write as it is noted: what was written, where, how, and the frame that did.
        self.on_write: list[Callable[[Sequence[Any], Spot | None, str, FrameType], None]] = []
        self.modules: dict[int, weakref.ref[Any]] = {}
        self.gathered: dict[int, weakref.ref[Any]] = {}  # FSDP's shard by the whole's storage key
        # Where inference_mode has been on: by guard, the counts of marks at begin and end.
        self.guards: dict[GuardPlace, list[tuple[int, int]]] = {}
        # The modules with a full backward hook, where the first was registered, and one for all.
        self.hooked: dict[int, tuple[weakref.ref[Any], Spot]] = {}
        self.hooked_all: Spot | None = None

    def after(self, event: RawWrite | RawBackward, seq: int) -> bool:
        """Whether an event came after the node `seq`; true where another thread has made that."""
        return event.seq > seq or not self.beside(event, seq)

    def beside(self, event: RawWrite | RawBackward, seq: int) -> bool:
        """Whether an event was in the thread in which the node `seq` was made."""
        return not self.several or self.holding(seq) is self._marks.get(event.thread)

    def write(self, event: RawWrite) -> None:
        if not event.thread:
            # `_replace` would take ten times as long.
            event = RawWrite(*event[:9], get_ident(), event.before)
        self.events.append(event)
        if event.silent:
            self.silent[event.spot] = event.seq

    def insert(self, event: RawWrite, before: RawBackward) -> None:
        """A write that was concluded later, put where it must have happened."""
        self.events.put(event, before)

    def write_memory(self, seq: int, spot: Spot, first: int, end: int) -> None:
        """A write into memory that is known by its address alone: a NumPy array's."""
        event = RawWrite(seq, spot, "NumPy", (), None, True, thread=get_ident())
        self.events.append(event)
        self.memory.append((event, first, end))
        self.silent[spot] = seq

    def covers(self, backward: RawBackward, seq: int) -> bool:
        """Whether `backward` ran through the node `seq`: known where it was inspected, else
        concluded from the lines that the same call ran through when it was."""
        if backward.covered is not None:
            return seq in backward.covered
        mark = self.mark_of(seq)
        lines = self.reach.get(backward.spot) if backward.spot is not None else None
        if mark is None or mark.code is None or lines is None:
            return True
        return (mark.code, mark.offset) in lines
