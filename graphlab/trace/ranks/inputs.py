"""What a rank was seen to train with, beside the model, and what the ranks' traces show of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.values import Count, Location


@dataclass(frozen=True, slots=True)
class SameOrder:
    """A DistributedSampler that shuffles, made at `at`, gave the passes that begin at `loop`, and
    that trained, `passes` times the same order, of one and the same `epoch`."""

    at: Location | None
    loop: Location | None
    passes: Count
    epoch: int


@dataclass(frozen=True, slots=True)
class Shuffled:
    """A DistributedSampler made at `at` shuffles `samples` by its `seed` and the epoch and takes
    the part `part` of `parts`. epochs: those of its passes that began at `loop` and trained."""

    at: Location | None
    loop: Location | None
    samples: Count
    part: Count
    parts: Count
    seed: int
    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OrdersApart:
    """The samplers made at `at`, whose passes begin at `loop`, take parts of other orders on each
    of the `ranks`: by their seeds, or by the epochs that they were told; both as text."""

    at: Location | None
    loop: Location | None
    by: Literal["seed", "epoch"]
    numbers: tuple[str, ...]
    ranks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forwards:
    """Checksums of what the forwards of the wrapper `name` at `at` were given, by their numbers.
    loader: where the DataLoader was made whose batches were under way. random: checksums of the
    state of the random number generator at each."""

    at: Location | None
    name: str
    given: tuple[tuple[Count, str], ...]
    loader: Location | None
    random: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SameBatches:
    """The `count` compared forwards of the wrapper `name` at `at` were each given the same on all
    `ranks`. loader: as of Forwards. drawn: other wrappers were given what differs, and the ranks
    draw the same random numbers."""

    at: Location | None
    name: str
    count: Count
    loader: Location | None
    ranks: tuple[int, ...]
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Frozen:
    """A checksum of the parameters of the module `name`, none of which is trained or wrapped, that
    `at` calls, at each of the backwards that were looked at. looks: their numbers; written: a line
    that wrote to one of them meanwhile, by `written_by`."""

    at: Location | None
    name: str
    values: tuple[str, ...]
    looks: tuple[Count, ...] = ()
    written: Location | None = None
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class FrozenApart:
    """The parameters of the frozen module `name`, called at `at`, differ between the ranks. moves:
    whether the program writes to them, as to an average of others. parted: they were the same at
    first; the line `written` then wrote to them, by `written_by`, on the ranks `some` alone, if
    these are not all."""

    at: Location | None
    name: str
    moves: bool
    ranks: tuple[int, ...]
    parted: bool = False
    some: tuple[int, ...] = ()
    written: Location | None = None
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class OthersLabels:
    """On this `rank`, the labels of the loss that `call` computes at `at` are 0, 1 and so on for
    its own `rows`, which are in other columns of the scores: the first ones are of rank 0."""

    at: Location | None
    call: str
    rows: Count
    rank: Count
    backward: str
    backward_at: Location | None


@dataclass(frozen=True, slots=True)
class Modes:
    """Of the modules at `paths` of the wrapper `name`, called at `at`, that compute otherwise in
    evaluation: "t" for training and "e" for evaluation of each, by the number of the forward.
    put: the last call that put one of them into evaluation, `put_by`."""

    at: Location | None
    name: str
    paths: tuple[str, ...]
    modes: tuple[tuple[Count, str], ...]
    put: Location | None
    put_by: str


@dataclass(frozen=True, slots=True)
class ModesApart:
    """In the forward `number` of the wrapper `name` at `at`, its module `path`, and `more`, were in
    evaluation on the ranks `some`, which `put` them there, and in training on the others."""

    at: Location | None
    name: str
    path: str
    more: Count
    number: Count
    some: tuple[int, ...]
    put: Location | None
    put_by: str
    ranks: tuple[int, ...]


InputSighting = (
    SameOrder | Shuffled | OrdersApart | Forwards | SameBatches | Frozen | FrozenApart
    | OthersLabels | Modes | ModesApart
)  # fmt: skip
