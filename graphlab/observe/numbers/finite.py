"""Reads whether tensors are finite, and says in words which values an operation cannot take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.observe.tensors import count_of, is_tensor, readable

# Private to torch; without it the tensors are read one by one.
_norms: Any = getattr(torch, "_foreach_norm", None)
_item: Any = torch._C.TensorBase.item


class Odd(NamedTuple):
    """How many values of a tensor are NaN, and how many infinite."""

    nan: int
    inf: int

    def __bool__(self) -> bool:
        return self.nan + self.inf > 0


FINITE = Odd(0, 0)


def number(value: Any) -> float | None:
    """The number in a plain tensor of one; None for any other, which may have one as well. Read at
    every backward, so at a fraction of what it costs to ask whether it is `readable`."""
    try:
        # Not `value.item`, which the program may patch; it raises for more than one number.
        found = _item(value) if type(value) is torch.Tensor else None
    except Exception:
        return None
    return found if type(found) is float else None


def counts(value: Any) -> bool:
    """Whether a value is a tensor whose numbers may be not finite and can be read."""
    return (
        is_tensor(value)
        and readable(value)
        and value.layout is torch.strided
        and (value.is_floating_point() or value.is_complex())
        and count_of(value) > 0
    )


def odd(value: Any) -> Odd:
    """What is not finite in a value. To be called inside of Unnoticed."""
    if not counts(value):
        return FINITE
    value = value.detach()
    if bool(torch.isfinite(value).all()):
        return FINITE
    nan = int(torch.isnan(value).sum())
    return Odd(nan, int((~torch.isfinite(value)).sum()) - nan)


def in_memory(value: Any) -> int:
    """How many values the memory of a tensor has: one that is a part keeps the whole."""
    return value.untyped_storage().nbytes() // value.element_size()


def readable_together(tensors: Sequence[Any]) -> list[Any]:
    """Those of `tensors` that `largest` reads: with numbers, and on the device of the first one."""
    found = [each for each in tensors if counts(each)]
    return [each for each in found if each.device == found[0].device]


def largest(tensors: Sequence[Any]) -> Any:
    """A tensor of the greatest magnitude in each of `readable_together(tensors)`, without waiting
    for the device: one is not finite where a value is not. None where there is none."""
    found = [each.detach() for each in readable_together(tensors)]
    if not found:
        return None
    found = [each.abs() if each.is_complex() else each for each in found]
    try:
        if found[0].is_cpu:
            # The norm takes up to seventeen times as long there.
            ends = [end.float() for each in found for end in torch.aminmax(each)]
            return torch.stack(ends).abs().view(-1, 2).amax(1)
        tops = _norms(found, float("inf"))
    except (RuntimeError, AttributeError, TypeError):
        tops = [each.abs().max() for each in found]
    return torch.stack([each.float() for each in tops])


# What the operand of an operation must not be, and the key of what to call the values that are.
_ILL: dict[str, tuple[tuple[str, Any], ...]] = {
    "log": (("zero", lambda v: v == 0), ("negative", lambda v: v < 0)),
    "log1p": (("minus_one", lambda v: v == -1), ("below_minus_one", lambda v: v < -1)),
    "sqrt": (("negative", lambda v: v < 0),),
    "rsqrt": (("zero", lambda v: v == 0), ("negative", lambda v: v < 0)),
    "reciprocal": (("zero", lambda v: v == 0),),
    "acos": (("beyond_ones", lambda v: v.abs() > 1),),
    "acosh": (("below_one", lambda v: v < 1),),
    "atanh": (("ones", lambda v: v.abs() == 1), ("beyond", lambda v: v.abs() > 1)),
    "lgamma": (("pole", lambda v: (v <= 0) & (v == v.floor())),),
    "logit": (
        ("zero_or_one", lambda v: (v == 0) | (v == 1)),
        ("beyond", lambda v: (v < 0) | (v > 1)),
    ),
    "erfinv": (("ones", lambda v: v.abs() == 1), ("beyond", lambda v: v.abs() > 1)),
}
_ILL["log2"] = _ILL["log10"] = _ILL["log"]
_ILL["asin"] = _ILL["acos"]
_ILL["digamma"] = _ILL["lgamma"]
# The place of the operand that may not be 0, among the tensors of a division and its like.
_DIVISOR = {
    "div": 1, "true_divide": 1, "addcdiv": 2, "remainder": 1, "fmod": 1, "floor_divide": 1,
    "xlogy": 1,
}  # fmt: skip
# How an operand of no special values is described: by its range, or its one value.
LARGE = ("observed.values.range", "observed.values.value")
_SPREAD = ("std", "var", "std_mean", "var_mean")


class Critical(NamedTuple):
    """Which operand (its place among the tensors) has values that explain a result, in words."""

    operand: int
    text: str


def critical(name: str, tensors: Sequence[Any], numbers: Sequence[Any] = ()) -> Critical:
    """What of its operands made the operation `name` give a number that is not finite. `numbers`
    are its operands that are no tensors."""
    known = [each.detach() if counts(each) else None for each in tensors]
    first = known[0] if known else None
    if name in _DIVISOR:
        at = min(_DIVISOR[name], len(known) - 1)
        if len(known) == 1 and any(each == 0 for each in numbers[-1:]):
            return Critical(0, message("observed.values.divided"))
        # A count is a whole number, and may be 0 as well.
        divisor = tensors[at] if is_tensor(tensors[at]) and readable(tensors[at]) else None
        if (found := some(divisor, "zero", lambda v: v == 0)) and len(known) > 1:
            return Critical(at, found)
    if name in ("pow", "float_power") and first is not None:
        exponent = known[1] if len(known) > 1 else next(iter(numbers), None)
        power = torch.as_tensor(exponent if exponent is not None else 1.0)
        if bool((power != power.round()).any()) and (
            found := some(first, "negative", lambda v: v < 0)
        ):
            return Critical(0, found)
        if bool((power < 0).any()) and (found := some(first, "zero", lambda v: v == 0)):
            return Critical(0, found)
    if name == "ctc_loss" and len(tensors) > 3:
        found = _too_long(*tensors[1:4])
        if found:
            return Critical(3, found)
    if name in _SPREAD and first is not None:
        shape = str([*first.shape])
        return Critical(0, message("observed.values.spread", shape=shape))
    if name.startswith("nll_loss") and len(tensors) > 1:
        return Critical(1, message("observed.values.no_label"))
    if name == "mean" and tensors and is_tensor(tensors[0]) and count_of(tensors[0]) == 0:
        return Critical(0, message("observed.values.none"))
    for at, value in enumerate(known[:1] if name in _ILL else ()):
        said = [text for what, test in _ILL[name] if (text := some(value, what, test))]
        if said:
            return Critical(at, listing(said))
    for at, value in enumerate(known):
        if value is not None and (inf := some(value, "infinite", torch.isinf)):
            whole = _has_full_row(value)
            return Critical(at, message("observed.values.rows", some=inf) if whole else inf)
    return _largest(known)


# What a result says of an operand that an operation in place has written over.
_WRITTEN_OVER: dict[str, tuple[tuple[str, Any], ...]] = {
    "sqrt": (("negative", torch.isnan),),
    "rsqrt": (("zero", torch.isinf), ("negative", torch.isnan)),
    "log": (("zero", torch.isinf), ("negative", torch.isnan)),
    "reciprocal": (("zero", torch.isinf),),
    "acos": (("beyond_ones", torch.isnan),),
}
_WRITTEN_OVER["asin"] = _WRITTEN_OVER["acos"]
_WRITTEN_OVER["log2"] = _WRITTEN_OVER["log10"] = _WRITTEN_OVER["log"]


def critical_in_place(name: str, result: Any) -> str:
    """As `critical`, of an operation whose only operand was finite and has its result now."""
    if not counts(result):
        return ""
    tests = _WRITTEN_OVER.get(name, ())
    return listing([said for what, test in tests if (said := some(result.detach(), what, test))])


def of_call(name: str, value: Any) -> str:
    """As `critical`, of a function that answers with a constant: `logdet` with a NaN."""
    if name == "logdet" and counts(value) and bool((torch.linalg.det(value.detach()) < 0).any()):
        return message("observed.values.determinant")
    return ""


def _too_long(targets: Any, inputs: Any, lengths: Any) -> str:
    """How many targets a CTC loss cannot align: one that repeats a label needs a blank between."""
    if not all(is_tensor(each) and readable(each) for each in (targets, inputs, lengths)):
        return ""
    needed, start = [], 0
    for row, length in enumerate(lengths.tolist()):
        label = targets[row, :length] if targets.dim() == 2 else targets[start : start + length]
        start += length
        needed.append(length + int((label[1:] == label[:-1]).sum()))
    return some(lengths, "too_long", lambda v: torch.tensor(needed) > inputs.cpu())


def _largest(known: Sequence[Any]) -> Critical:
    """The operand with the greatest values, for what overflowed."""
    best, top = -1, -1.0
    for at, value in enumerate(known):
        if value is not None and (size := float(value.abs().max().double())) > top:
            best, top = at, size
    if best < 0:
        return Critical(0, "")
    value = known[best]
    low, high = (float(each) for each in torch.aminmax(real(value)))
    kind = str(value.dtype).removeprefix("torch.")
    key = "observed.values.range" if count_of(value) > 1 else "observed.values.value"
    said = message(key, low=f"{low:.4g}", high=f"{high:.4g}", type=kind)
    return Critical(best, said)


def real(value: Any) -> Any:
    return value.abs() if value.is_complex() else value


def some(value: Any, what: str, test: Any) -> str:
    """`3 of 64 values are 0`, or nothing where none is; `what` is the key of "0"."""
    if value is None or value.is_complex():
        return ""
    many = int(test(value).sum())
    if not many:
        return ""
    said, whole = message(f"observed.values.{what}"), count_of(value)
    if whole == 1:
        return message("observed.values.it", what=said)
    return message("observed.values.some", many=many, whole=whole, what=said)


def _has_full_row(value: Any) -> bool:
    rows = torch.isneginf(value).all(-1) if value.dim() > 1 else torch.isneginf(value).all()
    return bool(rows.any())
