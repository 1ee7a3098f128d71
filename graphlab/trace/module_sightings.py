"""What was seen of modules and their parameters: how they were restored, frozen, tied and built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.examples.sightings import ExampleSighting
from graphlab.trace.functions.sightings import FunctionSighting
from graphlab.trace.values import Count, Location, OptimizerAt, Shape, TensorAt


@dataclass(frozen=True, slots=True)
class Restored:
    """A load_state_dict() at `at`, by `call`, of values that share memory with what they went into.

    receiver, given: as written. taken, taken_by: the line that took those values, with training
    between; or, where `receiver` and `given` are two names of one object (`one_object`), the line
    that made them that. itself: it is given its own values, again and again, by one expression.
    loaded: other values were loaded into the memory between. copied: what copies them is no
    load_state_dict(), but one tensor's copy_() or `data`; `mixed`: or an average of them, which
    mixes each with itself.
    """

    at: Location | None
    call: str
    receiver: str
    given: str
    taken: Location | None
    taken_by: str
    one_object: bool = False
    itself: bool = False
    copied: bool = False
    mixed: bool = False
    loaded: bool = False


@dataclass(frozen=True, slots=True)
class NoFreeze:
    """A flag that freezes nothing: `flag` is False on a module (or on a parameter, misspelt), and
    an optimizer steps `tensors`. at: the assignment; holder: what it was set on. thaws: it is True
    on a module, and sets nothing free: `tensors` stay frozen."""

    at: Location | None
    flag: str
    holder: str
    on_module: bool
    tensors: tuple[TensorAt, ...]
    optimizer: OptimizerAt
    thaws: bool = False


@dataclass(frozen=True, slots=True)
class FrozenMoved:
    """`tensors`, which `by` froze at `at`, were moved by the optimizer's step at `step_at` all the
    same, with no new gradient. zeros: the gradients that they have still are all zero."""

    at: Location | None
    by: str
    step_at: Location | None
    tensors: tuple[TensorAt, ...]
    optimizer: OptimizerAt
    zeros: bool


@dataclass(frozen=True, slots=True)
class TieBroken:
    """Parameters that were one under both `names`, and are two since the line `at` (`by`). shared:
    that line gave them the same elements, and they never were one."""

    at: Location | None
    by: str
    names: tuple[str, ...]
    tensor: TensorAt | None = None
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Repeated:
    """A module of class `kind`, with parameters, that stands `times` times in `container`, and the
    line that repeats it."""

    at: Location | None
    container: str
    kind: str
    times: Count
    tensor: TensorAt | None = None


@dataclass(frozen=True, slots=True)
class OneNetwork:
    """A trained network of class `kind` that is called `one` and `other`, names of two; at: the
    line that made them one. were_two: the training had begun with two."""

    at: Location | None
    one: str
    other: str
    kind: str
    were_two: bool = False


@dataclass(frozen=True, slots=True)
class Replaced:
    """Parameters that an optimizer holds, by their place in the trace, were replaced in their
    module at `at`, by `by`. now: how those are called that took their place."""

    at: Location | None
    by: str
    optimizer: OptimizerAt
    tensors: tuple[TensorAt, ...]
    now: tuple[TensorAt, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftInEval:
    """The module `name`, put into eval mode at `at` to be evaluated, and trained on in it by
    `call` at `call_at`, as in training mode before. layers: the classes that this matters to.
    mixed: some of them were in eval mode before that, so that train() would change them too.
    raised: that call, the first in eval mode, raised an error. first: no backward came before the
    evaluation, so that all of the training is in eval mode. given: nothing was evaluated; a
    library's call at `at` has made it and left it so."""

    at: Location | None
    name: str
    layers: tuple[str, ...]
    call: str
    call_at: Location | None
    mixed: bool = False
    raised: bool = False
    first: bool = False
    given: bool = False


@dataclass(frozen=True, slots=True)
class EvalUndone:
    """The module `name` was put into eval mode at `frozen_at`, by `frozen_by`, and not called
    before `by` at `at`, a train() of what holds it, put it back: it ran in training mode at the
    backwards of `call`. layers: the classes of its norm layers, whose statistics that moves."""

    at: Location | None
    by: str
    frozen_at: Location | None
    frozen_by: str
    name: str
    layers: tuple[str, ...]
    call: str
    call_at: Location | None


@dataclass(frozen=True, slots=True)
class DropsInEval:
    """The functional dropout `call` at `at`, which says nothing of the mode, ran in the forward of
    the module `name` after that was put into eval mode at `mode_at`."""

    at: Location | None
    call: str
    name: str
    mode_at: Location | None


@dataclass(frozen=True, slots=True)
class EvaluatedInTraining:
    """The module `name`, which is trained, was evaluated in training mode by `call` at `at`, and
    never was in eval mode. layers: the classes that this matters to."""

    at: Location | None
    call: str
    name: str
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StatisticsLeft:
    """The module `name` is called in eval mode while its weights are moved after those of `leader`,
    and the statistics of its norm layers, of the classes `layers`, are not. at: the line that moves
    the weights, where there is one such."""

    at: Location | None
    name: str
    leader: str
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AveragedInto:
    """The line at `at` mixes the weights of `name`, which has not changed since, into those of
    `trained`, after each step: a moving average that is written into the wrong one of the two."""

    at: Location | None
    name: str
    trained: str


@dataclass(frozen=True, slots=True)
class LeftSwappedIn:
    """The line at `at` puts what is in `average` in the place of trained weights, `tensor` the
    first, whose own values are in `kept`; `count` times steps came before anything put these back.
    """

    at: Location | None
    tensor: TensorAt
    average: str
    kept: str
    count: Count


@dataclass(frozen=True, slots=True)
class FixedInTraining:
    """The module `name`, last called at `at`, is in training mode and nothing trains it. layers:
    the classes of its norm layers, whose statistics that moves, or of its dropouts if it has none
    of these (not `moves`)."""

    at: Location | None
    name: str
    layers: tuple[str, ...]
    moves: bool


@dataclass(frozen=True, slots=True)
class LoneValues:
    """A norm layer `name` in training mode that was given an input of `shape`, with one value for
    each channel, by `call` at `failed`. mode: the outermost module in training mode around it,
    which was called at `at`."""

    at: Location | None
    failed: Location | None
    call: str
    name: str
    mode: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class TrainedAsNumber:
    """`tensors` are trained through what the loss of `call`, at `call_at`, is to take as a number:
    its bootstrapped target, which a copy of the network may make, the advantage that weighs its
    log-probabilities, or the critic that an actor is to please, at `at`."""

    at: Location | None
    what: Literal["target", "copy", "advantage", "critic"]
    loss: str
    call: str
    call_at: Location | None
    tensors: tuple[TensorAt, ...]


@dataclass(frozen=True, slots=True)
class StoredChanged:
    """A data set of the class `owner` changes in place, at `at`, what it stores in `name`, as it
    hands out an item; `within` is then the line of its own method."""

    at: Location | None
    name: str
    owner: str
    within: Location | None


@dataclass(frozen=True, slots=True)
class StatesCut:
    """The `state` of the recurrent module `name` is detached at `at`, and `others` of the same
    statement, between all steps of one backward, so that no gradient goes from one to another."""

    at: Location | None
    state: str
    name: str
    others: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class StepUndone:
    """A forward writes over `tensors` at `at`, after each step of an optimizer that moves them:
    they have the same values before every step. rows: no forward does, but a line that is to put
    some of the rows back, as ``weight[rows] = old[rows]``."""

    at: Location | None
    tensors: tuple[TensorAt, ...]
    optimizer: OptimizerAt
    rows: str = ""


@dataclass(frozen=True, slots=True)
class FreshFrozen:
    """`tensors` of the layer `path` have the values they were drawn with, and a library froze them
    with the network that it had loaded. at: the one call, `call`, that says what is to be trained.
    """

    at: Location | None
    call: str
    path: str
    tensors: tuple[TensorAt, ...]


@dataclass(frozen=True, slots=True)
class DrawnAnew:
    """The call `call` at `at`, in each turn of the loop over epochs at `loop`, draws all weights of
    an optimizer anew, `tensor` the first of them."""

    at: Location
    loop: Location
    call: str
    tensor: TensorAt


@dataclass(frozen=True, slots=True)
class HeldPlain:
    """An optimizer holds `tensor`, which is no parameter and never requires grad. at: the one
    line that made it."""

    optimizer: OptimizerAt
    tensor: TensorAt
    at: Location | None


@dataclass(frozen=True, slots=True)
class ScheduledTwice:
    """The scheduler built at `at` does what the one built at `first` does, for the same optimizer,
    and `other`, which steps as well, has none."""

    at: Location | None
    optimizer: OptimizerAt
    other: OptimizerAt
    first: Location | None


@dataclass(frozen=True, slots=True)
class EqualUnits:
    """`tensors` are weights of layers whose units, `units` of the first, were all the same at every
    step that was looked at: `by` had written one constant to them at `at`. zeros: they and what
    reads them stayed zero."""

    at: Location | None
    by: str
    tensors: tuple[TensorAt, ...]
    units: Count
    zeros: bool = False


ModuleSighting = (
    Restored
    | NoFreeze
    | FrozenMoved
    | TieBroken
    | Repeated
    | OneNetwork
    | Replaced
    | LeftInEval
    | EvalUndone
    | DropsInEval
    | EvaluatedInTraining
    | StatisticsLeft
    | AveragedInto
    | LeftSwappedIn
    | FixedInTraining
    | LoneValues
    | FunctionSighting
    | ExampleSighting
    | TrainedAsNumber
    | StoredChanged
    | StatesCut
    | StepUndone
    | FreshFrozen
    | EqualUnits
    | HeldPlain
    | ScheduledTwice
    | DrawnAnew
)
