"""Finds in a graph that is still there which node made the first number that is not finite.

What nodes saved tells the outputs of most: their own results, and the operands of those that came
after. Of an operation that saved its operands the output is computed once more. A node is named
only where all that went into it is known to be finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import Slot, leaf_of, operation, sequence, slots
from graphlab.observe.numbers.finite import Odd, counts, critical, odd
from graphlab.observe.tensors import count_of, grad_fn_of, is_tensor


class Found(NamedTuple):
    """The node that made it, and how many of how many values. tensors: its operands, as far as they
    are known; which, critical: as in finite.Critical."""

    node: Any
    operation: str
    made: Odd
    whole: int
    tensors: list[Any]
    which: int
    critical: str


_RESULTS = ("result", "output", "values")
_MOST = 20_000
# What chooses among its operands, so that an operand need not be in its result.
_CHOOSING = (
    "Where", "MaskedFill", "MaskedSelect", "Index", "IndexSelect", "Gather", "Max", "Min", "Amax",
    "Amin", "Maximum", "Minimum", "Topk", "NanToNum", "Nansum", "Nanmean", "Clamp", "Select",
    "Slice", "SelectScatter", "ClampMin", "ClampMax", "Sort", "Median", "Kthvalue", "Embedding",
    "NllLoss", "NllLoss2D", "CtcLoss",
)  # fmt: skip
# Whose other operand, a constant, is not saved.
_FORGETS = (
    "Add", "Sub", "Rsub", "Cat", "Stack", "Where", "Addmm", "Addcdiv", "Addcmul", "IndexPut",
    "Copy", "CopySlices", "MaskedScatter", "Scatter", "ScatterAdd", "Lerp", "Baddbmm",
)  # fmt: skip
_AGAIN: dict[str, Callable[..., Any]] = {
    "Log": torch.log, "Log2": torch.log2, "Log10": torch.log10, "Log1p": torch.log1p,
    "Acos": torch.acos, "Asin": torch.asin, "Atanh": torch.atanh, "Acosh": torch.acosh,
    "Lgamma": torch.lgamma, "Digamma": torch.digamma, "Erfinv": torch.erfinv,
}  # fmt: skip


def kind_of_node(node: Any) -> str:
    """``Log`` for `LogBackward0`."""
    return operation(node).split("Backward")[0]


def look(roots: Iterable[Any], nodes: list[Any], outputs: Iterable[Any]) -> Found | None:
    """None where the graph does not tell. `roots` are the nodes of what is not finite, `outputs`
    tensors that may be results of `nodes`, as those in the program's variables."""
    if len(nodes) > _MOST:
        return None
    saved = {node: _slots(node) for node in nodes if leaf_of(node) is None}
    made: dict[Any, Odd] = {}
    values: dict[Any, Any] = {}
    for node, own in saved.items():
        for slot in own:
            if slot.name in _RESULTS:
                if counts(slot.data):
                    values[node] = slot.data
            else:
                _learn(values, _unpacked(slot))
    for each in outputs:
        _learn(values, each)
    for node, own in saved.items():
        if node not in values and (again := _computed(node, own)) is not None:
            values[node] = again
    for node, value in values.items():
        made[node] = odd(value)
    suspects = _reached(roots, made)
    certain: list[Found] = []
    for node in suspects:
        found = _judge(node, saved.get(node, []), made, values)
        if found is not None:
            certain.append(found)
    return min(certain, key=lambda each: sequence(each.node), default=None)


def _slots(node: Any) -> list[Slot]:
    return [each for each in slots(node) if each.data is not None and not each.stale]


def _unpacked(slot: Slot) -> Any:
    try:
        return slot.unpack() if slot.unpack is not None else slot.data
    except RuntimeError:
        return slot.data


def _learn(values: dict[Any, Any], tensor: Any) -> None:
    if counts(tensor) and tensor.output_nr == 0 and (maker := grad_fn_of(tensor)) is not None:
        values.setdefault(maker, tensor)


def _computed(node: Any, own: list[Slot]) -> Any:
    """The output of an operation that saved what it takes."""
    kind = kind_of_node(node)
    given: dict[str, Any] = {each.name: each.data for each in own}
    value: Any = given.get("self")
    if kind in _AGAIN and counts(value):
        return _AGAIN[kind](value.detach())
    if kind == "Pow" and counts(value):
        exponent: Any = getattr(node, "_saved_exponent", None)
        return torch.pow(value.detach(), exponent) if type(exponent) in (int, float) else None
    other: Any = given.get("other")
    if kind == "Div" and counts(other):
        if counts(value):
            return value.detach() / other.detach()
        # Whatever is divided by 0 is not finite; by others it is not known.
        zero = other.detach() == 0
        return torch.where(zero, torch.inf, other.detach()) if bool(zero.any()) else None
    if kind == "Mul" and counts(other) and counts(value):
        return value.detach() * other.detach()
    return None


def _reached(roots: Iterable[Any], made: dict[Any, Odd]) -> list[Any]:
    """The nodes from which a number that is not finite may have reached the roots."""
    start = [each for each in roots if each is not None]
    seen, stack = set(start), list(start)
    while stack:
        node = stack.pop()
        unsure = node not in made and kind_of_node(node) in _CHOOSING
        for parent, _ in node.next_functions:
            if parent is None or parent in seen or leaf_of(parent) is not None:
                continue
            known = made.get(parent)
            if (known is not None and not known) or (known is None and unsure):
                continue
            if unsure and node not in start:
                continue
            seen.add(parent)
            stack.append(parent)
    return [*seen]


def _judge(
    node: Any, own: list[Slot], made: dict[Any, Odd], values: dict[Any, Any]
) -> Found | None:
    """What a suspect is known to have made."""
    tensors = [
        each.data
        for each in own
        if each.name not in _RESULTS and is_tensor(each.data)
    ]  # fmt: skip
    kind = kind_of_node(node)
    found = made.get(node)
    if not found:
        return None
    parents = [parent for parent, _ in node.next_functions]
    if any(p is None for p in parents) and kind in _FORGETS:
        return None
    if any(
        p is not None and leaf_of(p) is None and (p not in made or made[p]) for p in parents
    ) or any(odd(each) for each in tensors):
        return None
    given = tensors or [values[p] for p in parents if p in values]
    numbers = [getattr(node, "_saved_exponent", None)]
    said = critical(spelt(kind), given, [n for n in numbers if type(n) in (int, float)])
    if kind == "Div" and not any(each.name == "self" for each in own):
        # What is divided was not saved: the only operand is the divisor.
        said = critical("div", [torch.ones(()), *given], ())
    return Found(node, kind, found, count_of(values[node]), given, said.operand, said.text)


def spelt(kind: str) -> str:
    """``log_softmax`` for `LogSoftmax`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).strip("_")
