"""The Trace: everything a run leaves behind, as frozen dataclasses.

`seq` is autograd's sequence number at an event: how many backward nodes the thread had made, so a
node was made before it exactly when ``node.seq < event.seq``. Tensors, optimizers: by their index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from graphlab.trace.checked import MOST, Between
from graphlab.trace.sightings import Sighting
from graphlab.trace.values import (
    Carrier,
    Count,
    EventAt,
    Line,
    Location,
    Norm,
    OptimizerAt,
    Part,
    TensorAt,
    TensorAtOrNone,
    TensorInfo,
    Twice,
)

# What torch refused an operation for: see Refused.
Refusal = Literal[
    "leaf", "view", "inference", "non-leaf", "overlap", "unmapped", "statistics", "hook",
    "no-gradient", "numpy", "number", "integer",
]  # fmt: skip
# Why a backward raised: refused before it ran, or failed as it ran.
Trouble = Literal[
    "no-graph", "unused-input", "frozen-input", "non-scalar", "complex-loss", "gradient-shape",
    "checkpoint", "contract", "no-backward", "no-second-derivative", "failed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Write:
    """One in-place write, with the version before and after it.

    silent: the tensor's version counter did not count it, and `after` may be None. inferred: why
    it must have happened, if it was not observed; else empty.
    """

    seq: int
    at: Location | None
    by: str
    tensor: TensorAtOrNone
    before: int | None
    after: int | None
    silent: bool = False
    inferred: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """One tensor that a node saved for backward, in its state when a backward was inspected.

    suspects: what may have written it, if `write` is not known. within: the statement that saved
    it, in the function that calls backward. recorded: the tensor is now the result of something
    that autograd recorded. alone: the operation has no other operand.
    """

    seq: int
    operation: str
    at: Location | None
    module: str | None
    tensor: TensorAtOrNone
    saved_version: int | None
    current_version: int | None
    state: Literal["stale", "freed", "bypassed"]
    write: EventAt | None = None
    freed_by: EventAt | None = None
    suspects: tuple[str, ...] = ()
    within: Location | None = None
    recorded: bool = False
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that torch refused because of what a tensor is.

    kind: a write to a leaf or to a view, a tensor of inference mode, a result where a leaf is
    needed, a write to elements that share memory, a write under vmap to a tensor that is not
    mapped, a hook on a tensor without a graph, a use of a gradient that is None, a tensor that
    requires grad where NumPy wants numbers, a backward of a number of Python's, integers that
    were to require grad. made: the line that made the tensor so, by `made_by`. With an empty `by`:
    the use of a view that lost its gradient as its base was written at `written` by `written_by`.
    """

    seq: int
    at: Location | None
    by: str
    tensor: TensorAt
    kind: Refusal
    iteration: int | None = None
    made: Location | None = None
    written: Location | None = None
    written_by: str = ""
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A call of a module by the user's code, not by another module."""

    seq: int
    at: Location | None
    name: str


@dataclass(frozen=True, slots=True)
class ZeroGrad:
    """A call of zero_grad() of an optimizer or module."""

    seq: int
    at: Location | None
    target: str
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Waste:
    """The work of a backward on gradients that were then cleared and never applied.

    tensors: the parameters with those gradients. nodes, of_nodes: how many nodes of the graph lead
    to these parameters only, of all nodes. saved, of_saved: the bytes that only those nodes saved
    for backward, of all saved bytes, parameters excluded. at: the line that connected these
    parameters to the loss, by using `variable`. cleared: the zero_grad() that cleared them.
    """

    tensors: tuple[TensorAt, ...]
    nodes: Count
    of_nodes: Count
    saved: Count
    of_saved: Annotated[int, Between(1, MOST)]
    at: Location | None = None
    variable: str | None = None
    cleared: Location | None = None


@dataclass(frozen=True, slots=True)
class FailedNode:
    """The node at which a backward raised: its operation, the forward line that made it (`at`), in
    which module, and what it computed with. raised_at: the user's own line that raised, in a hook
    or a Function's backward. function: the Function or checkpointed function that it is about; why:
    what is wrong with that, as the end of a sentence. package: the one whose hook raised."""

    operation: str
    at: Location | None
    module: str | None = None
    operands: tuple[TensorInfo, ...] = ()
    raised_at: Location | None = None
    function: str = ""
    why: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Backward:
    """One call of backward() or torch.autograd.grad().

    call: without its arguments. reached: the parameters whose gradient it wrote. problems: saved
    tensors that are not as they were. carriers: the variables that led to the first. trouble: why
    it was refused before it ran, subject: the tensor concerned, cut, cut_by: what detached the
    loss, and where. node: where it failed. nodes: the size of the graph. inferred: as for a Write.
    cosine, relative_error: the gradient of bypassed problems against the one without. handed_over:
    a library called it, on what a function returned at `at`. twice: its loss, to what freed it.
    """

    seq: int
    at: Location | None
    call: str
    loss: str
    iteration: int | None
    retain_graph: bool
    reached: tuple[TensorAt, ...] = ()
    raised: str | None = None
    problems: tuple[Saved, ...] = ()
    thrown_away: Count = 0
    trouble: Trouble | None = None
    subject: TensorAt | None = None
    cut: Location | None = None
    cut_by: str = ""
    nodes: Count | None = None
    inferred: str = ""
    waste: Waste | None = None
    carriers: tuple[Carrier, ...] = ()
    node: FailedNode | None = None
    cosine: float | None = None
    relative_error: Norm | None = None
    handed_over: bool = False
    leads_to: tuple[TensorAt, ...] = ()
    twice: Twice = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer.step().

    mix: which losses the applied gradient came from, if the step was sampled. leftover: parameters
    whose gradient held new values added to those that an earlier step of this optimizer had
    applied, or an earlier call of its closure: then `again` is the backward in that. nothing_new:
    no gradient had changed since it was last applied, and yet it moved a parameter. shared:
    parameters whose gradient the optimizer `shared_with` had already applied.
    """

    seq: int
    at: Location | None
    optimizer: OptimizerAt
    iteration: int | None
    sources: tuple[str, ...] = ()
    mix: Mix | None = None
    leftover: tuple[TensorAt, ...] = ()
    nothing_new: bool = False
    shared: tuple[TensorAt, ...] = ()
    shared_with: OptimizerAt | None = None
    again: Location | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """What one loss contributed to the gradient that a step applied.

    norm: its Euclidean norm over the optimizer's parameters. share: norm / sum of the norms of all
    losses. cosine_to_total: cosine with the whole applied gradient. change: the loss's change by
    the step to first order, that is the inner product of its own gradient with the change of the
    parameters; above 0, the step made this loss worse."""

    loss: str
    line: Line | None
    parameters: Count
    norm: Norm
    share: Part
    cosine_to_total: float | None
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """The losses in one applied gradient; `cosines` holds (loss, loss, cosine) for each pair."""

    shares: tuple[Share, ...]
    cosines: tuple[tuple[str, str, float], ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True)
class ParameterMix:
    """The losses in one parameter's gradient, of Euclidean norm `norm`, at one sampled step."""

    tensor: TensorAt
    norm: Norm
    shares: tuple[Share, ...]
    cosines: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Untouched:
    """A parameter whose value no step of its optimizer changed, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """One optimizer: the parameters it owns, which of them its steps changed, and why others not.

    fed: how many of its steps applied a gradient that was new. zeroed, scheduled: how often its
    zero_grad(), and (last at scheduled_at) a scheduler's step(), was called; in_vain: what steps
    its parameters in its place, at a rate that no scheduler changes. handed_on: a closure or a
    GradScaler decides when it steps. by_hand: the program wrote to its parameters after a backward.
    never_reached: its parameters that no backward gives a gradient. cut, cut_by: the line that
    detaches a loss from those, if one was found; unused: else the one that built what forward goes
    past. leaf_loss: the line that made a leaf of the loss leaf_name. frozen_steps: how many of the
    last found all frozen, by `frozen_by`; toggled: all did, and none between. elsewhere: unwatched.
    """

    name: str
    class_name: str
    steps: Count
    at: Location | None
    owns: tuple[TensorAt, ...] = ()
    touched: tuple[TensorAt, ...] = ()
    untouched: tuple[Untouched, ...] = ()
    shares: tuple[Share, ...] = ()
    cosines: tuple[tuple[str, str, float], ...] = ()
    by_parameter: tuple[ParameterMix, ...] = ()
    sampled_steps: tuple[int, ...] = ()
    others_changed: tuple[TensorAt, ...] = ()
    strangers: tuple[TensorAt, ...] = ()
    never_reached: tuple[TensorAt, ...] = ()
    cut: Location | None = None
    cut_by: str = ""
    unused: Location | None = None
    leaf_loss: Location | None = None
    leaf_name: str = ""
    frozen: Location | None = None
    frozen_by: str = ""
    frozen_steps: Count = 0
    toggled: bool = False
    elsewhere: bool = False
    fed: Count = 0
    zeroed: Count = 0
    scheduled: Count = 0
    scheduled_at: Location | None = None
    in_vain: OptimizerAt | None = None
    handed_on: bool = False
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A parameter that gets gradients and is in no optimizer. built: where that was built which has
    the others that `call` reaches; since: it was "made" or "thawed" later, by `added`. Else made,
    added: the lines that made a plain list and put it there, or (anew) that make it each time."""

    tensor: TensorAt
    call: str
    at: Location | None
    built: Location | None
    made: Location | None = None
    added: Location | None = None
    anew: bool = False
    meant: bool = False
    since: str = ""


@dataclass(frozen=True, slots=True)
class Growing:
    """A graph that grew from each inspected backward to the next; `sizes` are its node counts."""

    name: str
    sizes: tuple[Count, ...]
    call: str
    at: Location | None
    kept_at: Location | None
    behind_loss: bool
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The exception that ended the program or the `with` block, and the iteration that ran then."""

    type: str
    message: str
    at: Location | None
    iteration: Count | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """The versions, the device and the seed of a run, and which of `world` ranks it was."""

    python: str
    torch: str
    device: str
    seed: int | None
    graphlab: str
    rank: Count | None = None
    world: Count | None = None
    host: str = ""


Event = Write | Refused | Module | ZeroGrad | Backward | Step


@dataclass(frozen=True, slots=True)
class Trace:
    """The record of one run. `sources` has the text of each file of the user's that events are in;
    `unseen` says in sentences what could not be observed."""

    target: str
    outcome: Literal["completed", "raised", "interrupted"]
    environment: Environment
    exception: Failure | None = None
    tensors: tuple[TensorInfo, ...] = ()
    optimizers: tuple[OptimizerInfo, ...] = ()
    events: tuple[Event, ...] = ()
    iterations: Count = 0
    forgotten: tuple[Forgotten, ...] = ()
    growing: tuple[Growing, ...] = ()
    sightings: tuple[Sighting, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
