"""The Trace: everything a run leaves behind, as frozen dataclasses.

`seq` is autograd's sequence number (the count of backward nodes that the thread had made)
at the moment of the event. A node was made before an event exactly when ``node.seq < event.seq``.
Tensors are referred to by their position in `Trace.tensors`, optimizers by theirs in
`Trace.optimizers`, so that every event stays small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from graphlab.trace.checked import GREATEST, MOST, AtMost, Between, In

# What a number of a saved trace may be: see checked.py, which holds it against these. `MaybeTensor`
# is -1 for a tensor that has no name.
Count = Annotated[int, Between(0, MOST)]
Line = Annotated[int, Between(0, 10**7)]
Norm = Annotated[float, Between(0.0, GREATEST)]
# Above 1 by no more than rounding.
Part = Annotated[float, Between(0.0, 1.001)]
Shape = Annotated[tuple[Count, ...], AtMost(200)]
TensorAt = Annotated[int, In("tensors")]
MaybeTensor = Annotated[int, In("tensors", or_none=True)]
OptimizerAt = Annotated[int, In("optimizers")]
EventAt = Annotated[int, In("events")]

Kind = Literal["parameter", "buffer", "activation", "input"]
Trouble = Literal["no-graph", "unused-input", "non-scalar"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the user's own source; lines and columns count from 1.

    `code` is the line without the `indent` that it starts with."""

    file: str
    line: Line
    column: Line
    end_line: Line
    end_column: Line
    function: str
    code: str
    indent: Line = 0


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor as the user would name it. `owner` is the variable that holds its module."""

    name: str | None
    kind: Kind
    shape: Shape
    dtype: str
    owner: str | None = None
    requires_grad: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """One in-place write. `after` is None when no version counter can tell (see `silent`).
    `inferred` says why it is believed to have happened, where nobody saw it."""

    seq: int
    at: Location | None
    by: str
    tensor: MaybeTensor
    before: int | None
    after: int | None
    silent: bool = False
    inferred: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """One tensor that a node saved for backward, as it stood when a backward was inspected.
    `suspects` may have written it, where no `write` is known. `within` is the statement that was
    running then in the function which the backward is called from."""

    seq: int
    operation: str
    at: Location | None
    module: str | None
    tensor: MaybeTensor
    saved_version: int | None
    current_version: int | None
    state: Literal["stale", "freed", "bypassed"]
    write: EventAt | None = None
    freed_by: EventAt | None = None
    suspects: tuple[str, ...] = ()
    within: Location | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An in-place write that autograd forbids: to a leaf, or to a view, which `made` made.

    Or the use of a view whose base was `written`, by `written_by`, so that it has no gradient any
    more; `by` is empty then.
    """

    seq: int
    at: Location | None
    by: str
    tensor: TensorAt
    kind: Literal["leaf", "view"]
    iteration: int | None = None
    made: Location | None = None
    written: Location | None = None
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class Module:
    """A call of an outermost module in the user's code."""

    seq: int
    at: Location | None
    name: str


@dataclass(frozen=True, slots=True)
class ZeroGrad:
    seq: int
    at: Location | None
    target: str
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Waste:
    """What a backward did for gradients that were then cleared and never applied.

    tensors: those parameters. nodes, of_nodes: how many of the graph's nodes lead to nothing else.
    saved, of_saved: bytes of what only those saved for this backward, of all that was saved for
    it, parameters left out. at: the line that led the graph there, by using `variable`. cleared:
    the call that threw them away, where it was one of zero_grad.
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
class Carrier:
    """A variable that leads into the graph of a tensor that was saved: a tensor, a tuple or list
    of them, or something else that holds them."""

    name: str
    form: Literal["tensor", "tuple", "list", "other"]


@dataclass(frozen=True, slots=True)
class Backward:
    """One call of backward() or torch.autograd.grad().

    `trouble` says why autograd refused it outright, `subject` which tensor it is about, `cut`
    which line cut the loss off its graph; `nodes` is the size of the graph, where it was counted.
    `call` is the call as written, arguments left out; `reached` are the parameters whose
    gradient it wrote; `problems` is filled where it was inspected. `inferred` is as for a Write.
    `carriers` are the variables that led to the first problem when it raised.
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


@dataclass(frozen=True, slots=True)
class Step:
    """One optimizer.step(). `mix` is filled where the step was sampled.

    `leftover` are parameters whose gradient held what an earlier step of this optimizer had
    applied, beside something new; `nothing_new` says that no gradient was new; `shared` are
    parameters whose very gradient the optimizer `shared_with` had applied already.
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


@dataclass(frozen=True, slots=True)
class Share:
    """What one loss put into the gradient that a step applied.

    norm: Euclidean norm over the optimizer's parameters. share: its part of the applied gradient's
    norms, norm / sum of norms. cosine_to_total: cosine with the whole applied gradient. change:
    what the step changed the loss by, to first order: the inner product of the loss's own gradient
    with the way that the parameters went; above 0, the step made this loss worse.
    """

    loss: str
    line: Line | None
    parameters: Count
    norm: Norm
    share: Part
    cosine_to_total: float | None
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """The make-up of one applied gradient; `cosines` holds (loss, loss, cosine) per pair."""

    shares: tuple[Share, ...]
    cosines: tuple[tuple[str, str, float], ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True)
class ParameterMix:
    """The make-up of one parameter's gradient, of Euclidean norm `norm`, at one sampled step."""

    tensor: TensorAt
    norm: Norm
    shares: tuple[Share, ...]
    cosines: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Untouched:
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """The ledger of one optimizer: what it owns, what its steps changed by value, and why not.

    `cut`: the line that keeps a loss from the parameters never reached, where one was found.
    `elsewhere`: a thread that is not followed stepped it, so its steps are only counted."""

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
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A module's parameter that backward reaches and no optimizer has."""

    tensor: TensorAt
    call: str
    at: Location | None
    built: Location | None


@dataclass(frozen=True, slots=True)
class Growing:
    """A graph that was larger at every inspected backward: `sizes` counts its nodes."""

    name: str
    sizes: tuple[Count, ...]
    call: str
    at: Location | None
    kept_at: Location | None
    behind_loss: bool
    iteration: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The exception that ended the program or the `with` block."""

    type: str
    message: str
    at: Location | None


@dataclass(frozen=True, slots=True)
class Environment:
    python: str
    torch: str
    device: str
    seed: int | None
    graphlab: str


Event = Write | Refused | Module | ZeroGrad | Backward | Step


@dataclass(frozen=True, slots=True)
class Trace:
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
    sources: dict[str, str] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
