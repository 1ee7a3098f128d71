"""What a program was seen to do that a rule may judge: one dataclass for each kind of thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.module_sightings import ModuleSighting
from graphlab.trace.ranks.sightings import RankSighting
from graphlab.trace.steps.sightings import AskedOfInput, Fate, ScheduleOff, SteppedPast
from graphlab.trace.values import Count, Location, OptimizerAt, TensorAt


@dataclass(frozen=True, slots=True)
class Starved:
    """An optimizer none of whose steps had a gradient, though backwards reach its parameters: what
    `call` at `at` wrote was cleared first, at `cleared`."""

    at: Location | None
    call: str
    optimizer: OptimizerAt
    cleared: Location | None
    cleared_by: str


@dataclass(frozen=True, slots=True)
class SoftmaxTwice:
    """A softmax or sigmoid at `at` whose result goes, over the same dimension, into the one that
    the loss at `loss_at` computes itself. module: the class of torch's that computed it, made at
    `built`. takes_logs: the loss, `loss`, takes the logarithms of probabilities or of rates, and
    `first` made none. dim, classes: a likelihood's classes are along the dimension `classes`, and
    the log_softmax is over `dim`, or, where that is -1, is left out: `at` is the layer's line."""

    at: Location | None
    first: Literal["softmax", "log_softmax", "sigmoid", "exp"]
    loss_at: Location | None
    module: str = ""
    built: Location | None = None
    takes_logs: bool = False
    loss: str = "nll_loss"
    dim: int = -1
    classes: int = -1


@dataclass(frozen=True, slots=True)
class BroadcastLoss:
    """A loss at `at` that compares each prediction with every target: its arguments, the one a
    column and the other a row, were broadcast to the shape `result`. prediction: the shape of the
    one with a graph; call, call_at: the first backward through it. weight: the shape of the other,
    where the two are multiplied."""

    at: Location | None
    prediction: tuple[int, ...]
    result: tuple[int, ...]
    call: str
    call_at: Location | None
    weight: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Clipped:
    """A call that clips gradients without effect: they are still `scaled` by a GradScaler, `spent`
    by the optimizer's step at `step`, there are `none` yet, they are `others` than those that this
    step applies, or the iterator that was to give the parameters is `used_up`. calls: how often
    that was seen."""

    at: Location | None
    call: str
    why: Literal["scaled", "spent", "none", "others", "used_up"]
    optimizer: OptimizerAt
    calls: Count
    step: Location | None = None
    backward: Location | None = None


@dataclass(frozen=True, slots=True)
class ScaledStep:
    """A step at `at` that applied gradients of the backward `call` at `call_at`, whose loss a
    GradScaler had multiplied by `scale`, and which nobody had divided by it."""

    at: Location | None
    optimizer: OptimizerAt
    scale: str
    call: str
    call_at: Location | None


@dataclass(frozen=True, slots=True)
class IdleClosure:
    """The step at `at` called its closure more than once, which computed no gradient anew."""

    at: Location | None
    optimizer: OptimizerAt


@dataclass(frozen=True, slots=True)
class ZeroGradients:
    """Parameters whose gradient was exactly zero at each of the `checks` steps that were looked at.

    at: the line of the node `operation` that was given a gradient and handed zeros on. by_weight:
    that is because it multiplies by zero; without an operation, the backward itself was given
    zeros. whole: no other parameter of an optimizer got a gradient from that backward. cancelled:
    the gradients that came over both sides of the operation were each other's opposite. itself: the
    operation is a loss that was given one memory as prediction and as target.
    """

    at: Location | None
    operation: str
    tensors: tuple[TensorAt, ...]
    checks: Count
    call: str
    call_at: Location | None
    module: str | None = None
    by_weight: bool = False
    whole: bool = False
    cancelled: bool = False
    itself: bool = False


@dataclass(frozen=True, slots=True)
class TermCut:
    """A summand of a loss that lost its graph at `at`, by `by`, while others have theirs; or, if it
    is `constant`, a loss of torch's that was given nothing with a graph."""

    at: Location | None
    by: str
    term: str
    loss: str
    call: str
    call_at: Location | None
    constant: bool = False


@dataclass(frozen=True, slots=True)
class LossUnused:
    """A variable called a loss, with a graph, that was there at `count` backwards and in none.
    leads: the parameters that its graph leads to."""

    at: Location | None
    name: str
    count: Count
    leads: tuple[TensorAt, ...] = ()


@dataclass(frozen=True, slots=True)
class GradientKept:
    """A tensor that the program changes itself, with its gradient, at `at`, or that is `still` and
    has its gradient read there; at `count` backwards of `call` that of the one before was there."""

    at: Location | None
    name: str
    tensor: TensorAt
    call: str
    call_at: Location | None
    count: Count
    still: bool = False


@dataclass(frozen=True, slots=True)
class ResultDiscarded:
    """A statement at `at` whose `call` gives a new tensor that nothing holds; `written` is the
    method in place that does what it says, or, if that is `stored`, an assignment. rebound: the
    statement stores the tensor in the variable `call` of a loop over parameters, which the next
    turn gives another one. anew: `call` writes to `written`, which is computed for each use.
    idle: it computes nothing at all, as `call` is only `named` there, or `compared`."""

    at: Location | None
    call: str
    written: str
    stored: bool = False
    rebound: bool = False
    anew: bool = False
    idle: Literal["named", "compared", ""] = ""


@dataclass(frozen=True, slots=True)
class SettingUnread:
    """A setting that no step of an optimizer of the class `kind` reads: set at `at` under `key`, on
    the optimizer, or `in_group`. name: what the optimizer reads. given, used: the values."""

    at: Location | None
    name: str
    key: str
    in_group: bool
    optimizer: OptimizerAt
    given: str
    used: str
    kind: str


@dataclass(frozen=True, slots=True)
class OptimizerRefused:
    """What an optimizer of torch's, or a GradScaler, refused at `at`, by `call`. told: the
    parameters that a group before had (`repeated`), or whose gradient is sparse, which their
    optimizer `decays` as well or not; of `sizes`, what the optimizer has, what was saved, and of
    what that is the number; where no parameters were given, the containers that hide them
    (`listed`), the tensors that are none (`plain`), the generator that was `used` up before, or the
    module that is `frozen` as a whole; of a one-cycle schedule that is `over`, for how many steps
    it was. cause: the line that made it so; of `unscaled`, the unscale_() before. Of a library's
    call that was given an optimizer of another module than the one beside it (`strangers`), how the
    two are written; `replaced`: since `cause`. Of what is `nested` in a list of parameters, how it
    is written, and its type. Of `rates` that are no numbers, what they are; of a closure that gives
    `no_loss`, its name; of what is `grouped` for LBFGS, the number of groups, and the options
    in which they differ.
    """

    at: Location | None
    call: str
    why: Literal[
        "repeated", "sparse", "sizes", "listed", "plain", "used", "frozen", "unscaled",
        "not_updated", "over", "strangers", "replaced", "decays",
        "nested", "clips_sparse", "half", "rates", "no_closure", "no_loss", "grouped",
    ]  # fmt: skip
    told: tuple[str, ...]
    cause: Location | None = None


@dataclass(frozen=True, slots=True)
class NothingLoaded:
    """A load_state_dict() at `at`, by `call`, none of whose keys the module has. `fits` of them
    would fit, with `prefix` left out of what is loaded (`extra`), or put before it."""

    at: Location | None
    call: str
    prefix: str
    extra: bool
    fits: Count


@dataclass(frozen=True, slots=True)
class HookAgain:
    """A hook that `call` at `at` has added to `name`, step after step: `times` of it are there."""

    at: Location | None
    call: str
    name: str
    times: Count


@dataclass(frozen=True, slots=True)
class HookUnreturned:
    """A hook, the function `function`, that was added by a method `added_by` of torch's and whose
    statement at `at` gives its parameter `name` a value that it does not return."""

    at: Location | None
    function: str
    name: str
    added_by: str


@dataclass(frozen=True, slots=True)
class OptimizerRemade:
    """An optimizer that the line at `at` made `times` in a row for the same parameters and with the
    same settings, in each turn of the loop around `loop`; it had kept something of their gradients
    every time. `loop` is `at`, or a line that leads to it."""

    at: Location | None
    optimizer: OptimizerAt
    times: Count
    loop: Location | None


@dataclass(frozen=True, slots=True)
class ScoresMixed:
    """Scores of the shape `before` that a view at `at` gave the shape `after`, with the classes in
    the place of the length, for a loss."""

    at: Location | None
    before: tuple[int, ...]
    after: tuple[int, ...]
    call: str
    call_at: Location | None


@dataclass(frozen=True, slots=True)
class ZeroLabels:
    """Labels of 0 and 1, at `count` calls of `loss` at `at`, which takes 1 and -1; or `swapped`: as
    its first argument, which are scores, and the scores as its second."""

    at: Location | None
    loss: str
    count: Count
    swapped: bool = False


# Where a number was made: in a forward, in a backward, in an optimizer's step; or where it was
# first met: in data, which no operation made. `before` is in what had run when looking began,
# `kept` in what a module keeps in a buffer, of which no more is known.
Phase = Literal["forward", "backward", "step", "data", "before", "kept"]


@dataclass(frozen=True, slots=True)
class Grown:
    """What was `before` in iteration `first` and `after` in iteration `last`: a loss's value, or
    the greatest magnitude in the parameter that NonFinite.grown_tensor is."""

    name: str
    first: Count
    before: float
    last: Count
    after: float


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The first NaN or Inf that reached a loss that was trained on, a gradient that was applied or
    a parameter.

    at: the line that made it, of a backward the forward line of its node; None where that is not
    known. operation: what made it there, in torch's words. kind: "odd" where it is not known which
    of the two. operand, critical: what it was given, as written, and which values of that cannot
    be. count, whole: how many of the values made are not finite. zero_met: in a backward, the
    gradient that came in was 0 there. inside: the user's own backward made it. iteration: in which
    it was made, None before the first one; reached: in which it was met then. loss, call, call_at:
    the backward that it reached. in_loss: it is in the loss itself. step, step_at: the step that
    applied it. tensors: parameters that it reached. look_from: the iteration from which a second
    run has to look, where only that can tell more. grown, grown_tensor: the parameter, or else the
    loss, that had grown beyond measure before. given_at: the line that made the operand, or what a
    library gave the operation, where the library's code has it and the program's has not.
    """

    at: Location | None
    operation: str
    phase: Phase
    kind: Literal["nan", "inf", "odd"]
    iteration: Count | None = None
    operand: str = ""
    critical: str = ""
    count: Count = 0
    whole: Count = 0
    module: str | None = None
    zero_met: bool = False
    inside: bool = False
    in_loss: bool = False
    loss: str = ""
    call: str = ""
    call_at: Location | None = None
    step: str = ""
    step_at: Location | None = None
    tensors: tuple[TensorAt, ...] = ()
    look_from: Count | None = None
    grown: Grown | None = None
    grown_tensor: TensorAt | None = None
    reached: Count | None = None
    given_at: Location | None = None


@dataclass(frozen=True, slots=True)
class StraightCancelled:
    """The difference `given - kept` at `at`, with a graph, was added to `kept`: the sum has the
    value and the gradient of `given`, and `kept` has none."""

    at: Location | None
    kept: str
    given: str


@dataclass(frozen=True, slots=True)
class DrawnWithoutGraph:
    """The draw at `at`, written `by`, has no gradient for what it is drawn from, which a loss
    trains by other terms alone; the backward of that was called at `call_at`."""

    at: Location | None
    by: str
    loss: str
    call: str
    call_at: Location | None


# A Trace holds these under `sightings`.
Sighting = (
    Fate
    | Starved
    | SoftmaxTwice
    | BroadcastLoss
    | Clipped
    | ScaledStep
    | IdleClosure
    | ZeroGradients
    | TermCut
    | LossUnused
    | GradientKept
    | ResultDiscarded
    | SettingUnread
    | ScheduleOff
    | SteppedPast
    | AskedOfInput
    | OptimizerRefused
    | NothingLoaded
    | HookAgain
    | HookUnreturned
    | OptimizerRemade
    | ScoresMixed
    | ZeroLabels
    | StraightCancelled
    | DrawnWithoutGraph
    | ModuleSighting
    | NonFinite
    | RankSighting
)
