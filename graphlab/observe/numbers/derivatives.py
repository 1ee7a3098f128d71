"""Says at which of its operand's values the derivative of an operation is not finite, and how that
operand is written."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

import torch

from graphlab.language import key_of, message
from graphlab.language.lists import listing
from graphlab.observe.graph.walk import is_function, slots
from graphlab.observe.numbers.births import Birth
from graphlab.observe.numbers.finite import LARGE, Odd, counts, critical, real, some
from graphlab.observe.numbers.operands import Turn, as_written, is_written, only, operands
from graphlab.observe.tensors import count_of, is_parameter, is_tensor, storage_key
from graphlab.source.places import expression_of, nodes_of, statement_at
from graphlab.trace.model import Location

# Of a node of the graph, what it saved, and the key of at which of its values its derivative has
# no value.
_STEEP: dict[str, tuple[tuple[str, str, Any], ...]] = {
    "Sqrt": (("result", "zero", lambda v: v == 0),),
    "Rsqrt": (("result", "infinite", torch.isinf),),
    "Log": (("self", "zero", lambda v: v == 0),),
    "Log1p": (("self", "minus_one", lambda v: v == -1),),
    "Pow": (("self", "zero", lambda v: v == 0),),
    "Div": (("other", "zero", lambda v: v == 0),),
    "Reciprocal": (("result", "infinite", torch.isinf),),
    "Acos": (("self", "ones", lambda v: v.abs() == 1),),
    "Atanh": (("self", "ones", lambda v: v.abs() == 1),),
    "Norm": (("result", "zero", lambda v: v == 0),),
    "LinalgVectorNorm": (("result", "zero", lambda v: v == 0),),
    "Std": (("result", "zero", lambda v: v == 0),),
    "Exp": (("result", "infinite", torch.isinf),),
    "Hypot": (("result", "zero", lambda v: v == 0),),
    "Xlogy": (("other", "zero", lambda v: v == 0),),
    "Angle": (("self", "tiny", lambda v: (v * v == 0) & (v != 0)),),
    "LinalgEigh": (("eigenvalues", "repeated", lambda v: _repeated(v)),),
    "LinalgSvd": (("S", "repeated", lambda v: _repeated(v)),),
    "Logsumexp": (("result", "minus_infinite", torch.isneginf),),
}
_STEEP["Log2"] = _STEEP["Log10"] = _STEEP["Log"]
_STEEP["Asin"] = _STEEP["Acosh"] = _STEEP["Acos"]
_STEEP["TensorPow"] = _STEEP["Pow"]
# The same where it takes two of them.
_STEEP_TOGETHER: dict[str, tuple[str, str, str, Any]] = {
    "Logaddexp": ("self", "other", "minus_infinite", lambda a, b: a.isneginf() & b.isneginf()),
}
_STEEP_TOGETHER["Logaddexp2"] = _STEEP_TOGETHER["Logaddexp"]
# Which operands these values are of, by their places, and how the operation may be written.
_OF = {
    "Sqrt": ((0,), ("sqrt",)), "Log": ((0,), ("log",)), "Log2": ((0,), ("log2",)),
    "Log10": ((0,), ("log10",)), "Log1p": ((0,), ("log1p",)), "Pow": ((0,), ("pow",)),
    "TensorPow": ((0,), ("pow",)), "Div": ((1,), ("div",)), "Acos": ((0,), ("acos",)),
    "Asin": ((0,), ("asin",)), "Acosh": ((0,), ("acosh",)),
    "Atanh": ((0,), ("atanh",)), "Xlogy": ((1,), ("xlogy",)),
    "Angle": ((0,), ("angle",)), "Logaddexp": ((0, 1), ("logaddexp",)),
    "Logaddexp2": ((0, 1), ("logaddexp2",)),
    # What is counted of these is results, of this operand.
    "Rsqrt": ((0,), ("rsqrt",)), "Reciprocal": ((0,), ("reciprocal",)), "Exp": ((0,), ("exp",)),
    "Norm": ((0,), ("norm",)), "LinalgVectorNorm": ((0,), ("norm", "vector_norm")),
    "Std": ((0,), ("std",)), "LinalgEigh": ((0,), ("eigh",)), "LinalgSvd": ((0,), ("svd",)),
    "Logsumexp": ((0,), ("logsumexp",)),
}  # fmt: skip
# Whose derivative multiplies by the other operand, so that an infinite one spoils it.
_MULTIPLY = (
    "Mul", "Mm", "Addmm", "Bmm", "Baddbmm", "Mv", "Addmv", "Dot", "Convolution", "Linear",
)  # fmt: skip


def _repeated(sorted_values: Any) -> Any:
    same = sorted_values.diff(dim=-1) == 0
    none = torch.zeros_like(same[..., :1])
    return torch.cat([same, none], -1) | torch.cat([none, same], -1)


def steep(kind: str, saved: dict[str, Any]) -> str:
    """Which values of what a node of this kind (``Sqrt``) saved its derivative cannot take."""
    for slot, what, test in _STEEP.get(kind, ()):
        value: Any = saved.get(slot)
        if counts(value) and (said := some(real(value.detach()), what, test)):
            return said
    if kind in _STEEP_TOGETHER:
        first, second, what, both = _STEEP_TOGETHER[kind]
        one: Any = saved.get(first)
        other: Any = saved.get(second)
        if counts(one) and counts(other):
            one, other = torch.broadcast_tensors(one.detach(), other.detach())
            return some(one, what, lambda v: both(v, other))
    return ""


def steep_operand(
    at: Location | None,
    kind: str,
    turn: Turn | None = None,
    spot: tuple[CodeType, int] | None = None,
) -> str:
    """How the operand that `steep` speaks of is written at `at`; "" where that is not certain.
    `turn` is as of a `Turn`, `spot` the instruction that ran the operation, where it is known."""
    places, names = _OF.get(kind, ((), ()))
    node = expression_of(*spot) if spot is not None else None
    if node is None or not any(is_written(node, name) for name in names):
        found = [one for name in names if at is not None and (one := only(at, name, turn))]
        if kind == "Reciprocal" and not found and at is not None and (quotient := only(at, "div")):
            # What ``1 / x`` is computed by.
            places, found = (1,), [quotient]
        if len(found) != 1:
            return ""
        node = found[0]
    given = operands(node)
    if isinstance(node, ast.Call):
        # One that is given by its name may stand anywhere.
        given = given[: len(given) - len(node.keywords)]
    if any(place >= len(given) or isinstance(given[place], ast.Starred) for place in places):
        return ""
    return listing(list(dict.fromkeys(as_written(given[place]) for place in places)))


def is_one_of(at: Location, kind: str) -> bool:
    """Whether the statement at `at` has several operations of this kind."""
    statement, (_, names) = statement_at(at.file, at.line), _OF.get(kind, ((), ()))
    return sum(is_written(each, name) for name in names for each in nodes_of(statement)) > 1


def spoilt_by_data(kind: str) -> bool:
    """Whether a derivative of this kind is not finite wherever an operand is not."""
    return kind in _MULTIPLY


def saved_by(node: Any) -> dict[str, Any]:
    """What a node saved, by name."""
    return {each.name: each.data for each in slots(node)}


def meets_zero(result: Any, tensors: list[Any]) -> bool:
    """Whether, where the result is not finite, what came in is 0: of a branch not taken."""
    where = ~torch.isfinite(result.detach())
    for each in tensors:
        if counts(each) and each.shape == result.shape and not is_parameter(each):
            there = each.detach()[where]
            if count_of(there) and bool((there == 0).all()):
                return True
    return False


def explain(
    birth: Birth,
    node: Any,
    name: str,
    tensors: list[Any],
    numbers: list[Any],
    result: Any,
    found: Odd,
    own: set[int | None],
    spot: tuple[CodeType, int] | None,
) -> None:
    """Which values made the derivative of `node` give `result`, in its operation `name` on
    `tensors`; `own`: the memory of what it had computed before; `spot`: the instruction of the
    program's that made the node."""
    kind = birth.operation.split("Backward")[0]
    saved = {} if is_function(node) else saved_by(node)
    birth.critical = steep(kind, saved)
    if birth.critical:
        birth.operand = steep_operand(birth.at, kind, spot=spot)
    # A decomposition divides by differences of its own, which are 0 as well.
    decomposed = kind.startswith(("LinalgEig", "LinalgSvd"))
    kept = {storage_key(each) for each in saved_by(node).values() if is_tensor(each)} | own
    came = [each for each in tensors if storage_key(each) not in kept]
    if found.nan > 0 and not decomposed:
        birth.zero_met = meets_zero(result, came)
    if not birth.critical and not found.nan:
        which, said = critical(name, tensors, numbers)
        # What has outgrown its type.
        if key_of(said) in LARGE and any(each is tensors[which] for each in came):
            birth.operand, birth.critical = message("observed.values.incoming"), said
