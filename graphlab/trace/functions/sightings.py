"""What was seen of backwards that the program wrote itself, and of what torch refused to take from
one or from a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.values import Location, Shape, TensorAt


@dataclass(frozen=True, slots=True)
class OwnBackward:
    """A backward of the program's own, of the class `owner`, that never reads the gradient `given`
    in the return at `at`; or the method at `at` of a module, which nobody calls (`uncalled`).
    holds: some such module has parameters."""

    at: Location | None
    owner: str
    given: str
    uncalled: bool
    holds: bool = False


@dataclass(frozen=True, slots=True)
class FunctionUnfit:
    """A transform of torch.func refused `call` at `call_at`: the custom Function of the class
    `name`, defined at `at`, has no static method `lacks`. Or torch did, as an object of the class
    was called, and not its `apply`."""

    at: Location | None
    call_at: Location | None
    call: str
    name: str
    lacks: str


@dataclass(frozen=True, slots=True)
class GivenUnfit:
    """torch refused at `at` what `call`, the ``.grad`` of `name`, was to be: of another shape or
    type. Or, for a transform of torch.func, what the function `name`, defined at `within`, gave:
    several numbers, or a tuple. shapes: what is needed, and what was given. `saved`: the custom
    Function of `call` gave save_for_backward() at `within` the argument `name`, which is no tensor
    but a `kind`. `asked`: under vmap, `call` needs one value of `name`, which has one for each
    that is mapped."""

    at: Location | None
    call: str
    why: Literal["shape", "type", "several", "tuple", "saved", "asked"]
    name: str
    shapes: tuple[Shape, Shape]
    within: Location | None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class CopyCancelled:
    """The difference at `used` of a parameter and a copy of it, made at `at` with its graph before
    a backward: the gradients of the two cancel."""

    at: Location
    tensor: TensorAt
    used: Location | None


FunctionSighting = OwnBackward | FunctionUnfit | GivenUnfit | CopyCancelled
