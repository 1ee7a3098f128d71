"""What one rank of several was seen to do, and what their traces side by side show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.ranks.inputs import InputSighting
from graphlab.trace.ranks.models import ModelSighting
from graphlab.trace.ranks.updates import Apart, UpdateSighting
from graphlab.trace.values import Count, Location, OptimizerAt, TensorAt

# The kinds of a wrapper, and of parameters that are in parts without one.
DDP, FSDP, FULLY_SHARD = "DistributedDataParallel", "FullyShardedDataParallel", "fully_shard"
DTENSOR = "DTensor"
# By these two ranks exchange what no other has.
PAIRWISE = ("send", "recv", "isend", "irecv", "batch_isend_irecv")
# The key of what a write of DistributedDataParallel's to the buffers of its module is called.
BROADCAST = "observed.by.broadcast"
# Why a backward's gradients were not averaged: the forward went past the wrapper, it had been used
# up by an earlier backward, it ran under no_sync, the parameter is none that the wrapper knows,
# torch.autograd.grad computed them, reentrant checkpoints gave it more than one, the program
# averages others of the optimizer by hand, and not it, or a copy of it, a hook of the program's was
# to do it, it lost the wrapper's hooks by getting other data, the wrapper averages among some ranks
# alone, only others of the optimizer are sharded, or wrapped ("beside"), nothing waits for the
# average, it comes after the step, or goes to one rank alone, each rank has the parameters in an
# "order" of its own, or sums what it summed before "again", or
# there is no average of any.
Unsynced = Literal[
    "around", "used-up", "no-sync", "unknown", "grad", "twice", "hook", "moved", "by-hand",
    "copied", "group", "unsharded", "beside", "in-flight", "late", "reduced",
    "order", "again", "never", "",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class GradientWrite:
    """A write to gradients between the last backward and the step, at `at`, by `by`."""

    at: Location | None
    by: str


@dataclass(frozen=True, slots=True)
class Source:
    """The backward that last wrote a gradient, and why it was not averaged, if it is known not to
    be: `cause` is the line that explains it, `cause_by` what was called there. before: the backward
    that had used up the wrapper's averaging."""

    at: Location | None
    call: str
    why: Unsynced = ""
    cause: Location | None = None
    cause_by: str = ""
    before: Location | None = None


@dataclass(frozen=True, slots=True)
class RankStep:
    """One sampled step on this rank, with checksums for each of the optimizer's parameters that is
    replicated: of its value before, of its gradient after the last backward and at the step.

    sources: the backwards that wrote them, source_of the one of each parameter. rates: the learning
    rate of each group; settings: its other numbers, as text. value_writes: what wrote to the
    parameters since the step before, besides optimizers.
    """

    at: Location | None
    optimizer: OptimizerAt
    step: Count
    iteration: Count | None
    tensors: tuple[TensorAt, ...]
    values: tuple[str, ...]
    fresh: tuple[str, ...]
    gradients: tuple[str, ...]
    sources: tuple[Source, ...]
    source_of: tuple[int, ...]
    writes: tuple[GradientWrite, ...] = ()
    rates: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    value_writes: tuple[GradientWrite, ...] = ()
    # Of each parameter, whether a wrapper has it, or the program averages its gradient itself; none
    # where all are.
    shared: tuple[bool, ...] = ()
    # Of each parameter, the ranks over which the program averaged its gradient last, where they are
    # not all; none where that is so of no parameter.
    groups: tuple[tuple[int, ...], ...] = ()
    # Of a first step: the one write to a parameter, by its place here, since its wrapper sent rank
    # 0's to all.
    rewritten: tuple[tuple[Count, GradientWrite], ...] = ()


@dataclass(frozen=True, slots=True)
class ShardStep:
    """A sampled step of an optimizer of shards, all of whose gradients the program had multiplied
    by `factor` since the last backward, with `writes`. rounding: how far from another factor,
    relative to it, the same one may be."""

    at: Location | None
    optimizer: OptimizerAt
    step: Count
    iteration: Count | None
    factor: float
    rounding: float
    writes: tuple[GradientWrite, ...]


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A wrapper of class `kind` takes care of the parameters `tensors`; at: where it was built."""

    at: Location | None
    kind: str
    tensors: tuple[TensorAt, ...]


@dataclass(frozen=True, slots=True)
class NotAveraged:
    """A step at `at` applied gradients that differ between the ranks, though their wrapper
    averages. source: the backward that wrote them; apart: whether the parameters differed before
    already, by an earlier such step."""

    at: Location | None
    optimizer: OptimizerAt
    iteration: Count | None
    tensors: tuple[TensorAt, ...]
    source: Source
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepsApart:
    """The ranks had the same gradients after the backward, and applied different steps. by: the
    call at `cause` that only `ranks` made, or made otherwise; of a step that was skipped, `ranks`
    are those that made it."""

    at: Location | None
    optimizer: OptimizerAt
    iteration: Count | None
    tensors: tuple[TensorAt, ...]
    why: Apart
    cause: Location | None
    by: str
    ranks: tuple[int, ...]
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Divisor:
    """The line `at` divided by `count`, a number of elements, or took the mean of so many."""

    at: Location | None
    count: Count


@dataclass(frozen=True, slots=True)
class LossTerm:
    """A summand of a loss: what it was divided by, and the product of what else scaled it."""

    divisors: tuple[Divisor, ...]
    factor: float


@dataclass(frozen=True, slots=True)
class DividedLoss:
    """A backward at `at` of a loss whose `terms` were divided by numbers of elements, where a
    wrapper averages the gradients."""

    at: Location | None
    call: str
    loss: str
    iteration: Count
    terms: tuple[LossTerm, ...]


@dataclass(frozen=True, slots=True)
class Unequal:
    """The ranks divided the loss of the backward at `at` by numbers of their own, `counts` as text,
    in the line `cause`; an element of one weighs `ratio` times as much as one of another."""

    at: Location | None
    call: str
    loss: str
    iteration: Count
    cause: Location | None
    counts: tuple[str, ...]
    ratio: float


@dataclass(frozen=True, slots=True)
class BufferWrite:
    """A line of a module's that writes to a buffer of it, `by` as it is written; reads: attributes
    of the module that go into it; data: whether anything else does."""

    at: Location
    by: str
    reads: tuple[str, ...]
    data: bool


@dataclass(frozen=True, slots=True)
class OwnBuffer:
    """A buffer at `path` of the module that was wrapped at `at`, which is not broadcast. beside:
    a parameter of the same module, and its path. values: checksums by the number of a sampled step,
    0 as it was wrapped. used: a line that computes with it; grows: whether its new value is made
    of the old one; several: whether several forwards went into one backward, which a broadcast
    before each would not let pass. Without `beside` no wrapper has
    it, and `path` is its name."""

    at: Location | None
    path: str
    beside: TensorAt | None
    beside_path: str
    values: tuple[tuple[Count, str], ...]
    used: Location | None
    writes: tuple[BufferWrite, ...]
    grows: bool
    several: bool = False


@dataclass(frozen=True, slots=True)
class BuffersApart:
    """Buffers at `paths` of the module wrapped at `at` were the same on all ranks, and no longer
    are: the first is written at `cause`, `by`, and computed with at `used`; kept: by no wrapper."""

    at: Location | None
    name: str
    more: Count
    cause: Location | None
    by: str
    used: Location | None
    several: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class NormOverPart:
    """The batch norm `module`, called at `at`, of the model that is wrapped at `built`, takes its
    statistics over `samples` of this rank alone."""

    at: Location | None
    module: str
    samples: Count
    built: Location | None


@dataclass(frozen=True, slots=True)
class Carried:
    """What the collectives of this rank have carried at most, as elements of one tensor, but for
    gradients that were averaged in place. pairwise: whether it exchanged something with one other;
    in_graph: whether something with a graph. It is about no line."""

    at: Location | None
    elements: Count
    pairwise: bool
    in_graph: bool


@dataclass(frozen=True, slots=True)
class Communicated:
    """How often a line communicated with the other ranks."""

    at: Location | None
    operation: str
    count: Count


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call that communicated: with how many elements, with which one rank if it was one, and the
    program's lines that led to it, outermost first."""

    operation: str
    elements: Count
    peer: int | None
    lines: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The last calls by which this rank communicated, in their order: places in `calls`, after so
    many others. It is about no line."""

    at: Location | None
    before: Count
    calls: tuple[Exchange, ...]
    order: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """How often a line has stepped a learning rate's scheduler, or restored an optimizer."""

    at: Location | None
    count: Count
    operation: Literal["step", "load_state_dict"] = "step"


@dataclass(frozen=True, slots=True)
class Turns:
    """How often the body of the loop at `at` has begun."""

    at: Location | None
    count: Count


@dataclass(frozen=True, slots=True)
class WithoutGradient:
    """A collective at `at` whose result went into the loss of `backward` at `used`, past autograd:
    it overwrote `tensor`, or else what other ranks gave for it carries no graph."""

    at: Location | None
    call: str
    operation: str
    tensor: str
    overwrote: bool
    used: Location | None
    backward: str
    backward_at: Location | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The last backward of a wrapper did not reach `tensors`, and the wrapper refuses to go on in
    the call at `at`. loss_at: the line that made that backward's loss; used: one that ran their
    module; cause: why they were not reached, if `why` says that. static: the wrapper was promised
    that it would always be the same parameters; then "more" says that the backward at `at` reaches
    some that the first did not. "replaced": they stand in the place of others that it waits for."""

    at: Location | None
    call: str
    tensors: tuple[TensorAt, ...]
    backward: str
    backward_at: Location | None
    loss_at: Location | None
    used: Location | None
    why: Literal["frozen", "cut", "uncalled", "more", "replaced", "passed", ""] = ""
    cause: Location | None = None
    cause_by: str = ""
    static: bool = False


@dataclass(frozen=True, slots=True)
class ReadyTwice:
    """A wrapper refused, in the backward at `at`, a second gradient of `tensor`, which the program
    uses at `uses`. why: one is past the wrapper's forward, or in a reentrant checkpoint, whose
    inside its search for unused parameters does not see ("hidden"), or that has its own backward
    ("checkpoint"). wrapper: its call."""

    at: Location | None
    call: str
    tensor: TensorAt
    uses: tuple[Location, ...]
    why: Literal["outside", "hidden", "checkpoint", ""]
    wrapper: str


@dataclass(frozen=True, slots=True)
class PastTheWrapper:
    """A call at `at` raised: it met the shard of a parameter, `tensor`, outside the forward that
    gathers it. called: what was called at `cause`, past that forward; kind: the wrapper's."""

    at: Location | None
    tensor: str
    kind: str
    called: str
    cause: Location | None


How = Literal["loop", "left", "call", "sizes", "pair", "crossed", "joined"]


@dataclass(frozen=True, slots=True)
class Parted:
    """Ranks that took different ways: `waiting` were cut off, the first of them at `failed`. at:
    the loop, or the line that communicates, which they ran `counts` times each, as text; of
    "left", the loop that some had left when others went on with it; of "sizes", the line to which
    they gave so many elements each; of a "pair", where one waits for the other that waits for it;
    of those "crossed", `counts` are the calls, and one waits for the other, which waits for all.
    passed: whether it is because some have passed over a call; of one "joined", a rank that was
    done had left it to the wrapper to answer. stops:
    the line of each that waited, as text; never: those that did not run it at all."""

    at: Location | None
    how: How
    operation: str
    failed: Location | None
    waiting: tuple[int, ...]
    counts: tuple[str, ...]
    stops: tuple[str, ...] = ()
    never: tuple[int, ...] = ()
    passed: bool = False


RankSighting = (
    RankStep | ShardStep | Wrapped | NotAveraged | StepsApart | Communicated | Turns
    | WithoutGradient | Unfinished | ReadyTwice | PastTheWrapper | Parted | Scheduled | Carried
    | Exchanged | DividedLoss | Unequal | OwnBuffer
    | BuffersApart | NormOverPart | InputSighting | UpdateSighting | ModelSighting
)  # fmt: skip
