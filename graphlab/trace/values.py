"""The hints of numbers and indices, the Location and the TensorInfo that all of a Trace uses, and
who owns a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from graphlab.trace.checked import GREATEST, MOST, AtMost, Between, PositionIn

# The numbers that a saved trace may hold, with the bounds that checked.py enforces.
# `TensorAtOrNone` is -1 for a tensor that has no name.
Count = Annotated[int, Between(0, MOST)]
Line = Annotated[int, Between(0, 10**7)]
# The values of a tensor that has few.
Values = Annotated[tuple[Annotated[float, Between(-GREATEST, GREATEST)], ...], AtMost(8)]
Norm = Annotated[float, Between(0.0, GREATEST)]
# A part of a whole. Rounding may take it slightly above 1.
Part = Annotated[float, Between(0.0, 1.001)]
Shape = Annotated[tuple[Count, ...], AtMost(200)]
TensorAt = Annotated[int, PositionIn("tensors")]
TensorAtOrNone = Annotated[int, PositionIn("tensors", or_none=True)]
OptimizerAt = Annotated[int, PositionIn("optimizers")]
EventAt = Annotated[int, PositionIn("events")]

# What follows the name of a module of torch's that was told to write in place, and did.
IN_PLACE = "(inplace=True)"
Kind = Literal["parameter", "buffer", "activation", "input"]
# What a variable is that carries a graph: a tensor, or a container of them; a state for each layer.
CarrierForm = Literal[
    "tensor", "tuple", "list", "dict", "other",
    "list of tuples", "list of lists", "tuple of tuples", "tuple of lists",
]  # fmt: skip
# What one loss is to another: the very same, the whole of it, or a part of it.
Twice = Literal["", "same", "whole", "part"]


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
    """A tensor, named as in the user's code; `owner` is the variable that holds its module, or
    the part of it that one optimizer trains."""

    name: str | None
    kind: Kind
    shape: Shape
    dtype: str
    owner: str | None = None
    requires_grad: bool = False


# The most parts that a module is told in, and how far down from its variable.
_PARTS, _DEPTH = 6, 2

Named = Mapping[str, tuple[str, frozenset[int]]]


def parts(named: Named) -> dict[str, str]:
    """Who owns the parameters of a module that several optimizers train by parts, by their names:
    ``model.critic`` for ``model``. A lone tensor beside modules, ``agent.log_alpha``, is its own.
    `named` has the owner and the optimizers of each."""
    members: dict[str, dict[str, frozenset[int]]] = {}
    for name, (owner, optimizers) in named.items():
        if name.startswith(f"{owner}."):
            members.setdefault(owner, {})[name] = optimizers
    found: dict[str, str] = {}
    for owner, mine in members.items():
        divided = _divided(owner, mine, _DEPTH)
        if divided is not None and len({*divided.values()}) <= _PARTS:
            found.update(divided)
    held = {each.rpartition(".")[0] for each in members}
    lone = {owner: mine for owner, mine in members.items() if owner in held and len(mine) == 1}
    return found | {name: name for mine in lone.values() for name in mine}


def _divided(part: str, mine: Mapping[str, frozenset[int]], depth: int) -> dict[str, str] | None:
    """The part of each of these parameters, or None where optimizers share what lies so deep."""
    if len({each for each in mine.values() if each}) < 2:
        return dict.fromkeys(mine, part)
    if not depth:
        return None
    inner: dict[str, dict[str, frozenset[int]]] = {}
    found: dict[str, str] = {}
    for name, optimizers in mine.items():
        step, _, rest = name[len(part) + 1 :].partition(".")
        if rest:
            inner.setdefault(f"{part}.{step}", {})[name] = optimizers
        elif depth == _DEPTH:
            found[name] = part
        else:
            return None
    for name, those in inner.items():
        divided = _divided(name, those, depth - 1)
        if divided is None:
            return None
        found.update(divided)
    return found


def by_parts(
    tensors: Sequence[TensorInfo], owns: Sequence[Iterable[int]]
) -> tuple[TensorInfo, ...]:
    """These tensors with the owners that `parts` tells. `owns` has the places that each optimizer
    owns."""
    optimizers: dict[int, set[int]] = {}
    for at, places in enumerate(owns):
        for place in places:
            optimizers.setdefault(place, set()).add(at)
    named = {
        each.name: (each.owner, frozenset(optimizers.get(place, ())))
        for place, each in enumerate(tensors)
        if each.name is not None and each.owner is not None and each.kind == "parameter"
    }
    owners = parts(named)
    return tuple(
        replace(each, owner=owners.get(each.name or "", each.owner))
        if each.kind == "parameter"
        else each
        for each in tensors
    )


@dataclass(frozen=True, slots=True)
class Carrier:
    """A variable that keeps an earlier iteration's graph alive; inside: hidden in an object."""

    name: str
    form: CarrierForm
    inside: bool = False
