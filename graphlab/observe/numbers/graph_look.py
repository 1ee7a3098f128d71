"""Finds in a graph that is still there which node made the first number that is not finite.

What nodes saved tells the outputs of most: their own results, and the operands of those that came
after. Of an operation that saved its operands the output is computed once more. A node is named
only where all that went into it is known to be finite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import Slot, leaf_of, saved_number, sequence, slots
from graphlab.observe.numbers.finite import Odd, counts, critical, odd
from graphlab.observe.numbers.recompute import kind_of_node, recompute
from graphlab.observe.tensors import count_of, grad_fn_of, is_parameter, is_tensor, readable


class Found(NamedTuple):
    """The node that made it, and how many of how many values. tensors: its operands, as far as they
    are known; which, critical: as in finite.Critical; slot: the name under which that one was
    saved. met: it made none of it, and was given the only one of `tensors`, which is not of the
    graph."""

    node: Any
    operation: str
    made: Odd
    whole: int
    tensors: list[Any]
    which: int
    critical: str
    met: bool = False
    slot: str = ""


_RESULTS = ("result", "output", "values")
# Of more than one result, which are saved under such names; the losses of a CTC loss are the first.
_NUMBERED = "result"
_FIRST = {"CtcLoss": "result0"}
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
            if slot.name in _RESULTS or slot.name == _FIRST.get(kind_of_node(node)):
                if _known(slot.data):
                    values[node] = slot.data
            elif not slot.name.startswith(_NUMBERED):
                _learn(values, slot.data)
    for each in outputs:
        _learn(values, each)
    recompute(nodes, values)
    meant = {mask for node in saved if (mask := _masked(node, saved, values)) is not None}
    meant |= _proved(nodes, saved, values)
    for node, own in saved.items():
        if node not in values and (divided := _by_zero(node, own)) is not None:
            values[node] = divided
    for node, value in values.items():
        made[node] = odd(value)
    _hand_on(meant, nodes, made)
    suspects = _reached(roots, made)
    certain: list[Found] = []
    for node in suspects:
        found = _judge(node, saved.get(node, []), made, values, meant)
        if found is not None:
            certain.append(found)
    if certain:
        return min(certain, key=lambda each: sequence(each.node))
    return next(_met(saved, suspects), None)


def _met(saved: dict[Any, list[Slot]], suspects: list[Any]) -> Iterator[Found]:
    """Where what came from outside of the graph had a NaN, in the order in which it was met."""
    for node in sorted(suspects, key=sequence):
        for slot in saved.get(node, ()):
            value: Any = slot.data
            if _is_result(slot) or not counts(value) or is_parameter(value):
                continue
            if grad_fn_of(value) is None and (found := odd(value)).nan:
                yield Found(node, kind_of_node(node), found, count_of(value), [value], 0, "", True)


def _is_result(slot: Slot) -> bool:
    return slot.name in _RESULTS or slot.name.startswith(_NUMBERED)


def _known(value: Any) -> bool:
    """Whether its numbers can be read. Of one that is empty, they are all finite."""
    return counts(value) or (is_tensor(value) and readable(value) and count_of(value) == 0)


def _slots(node: Any) -> list[Slot]:
    return [each for each in slots(node) if each.data is not None and not each.stale]


def _learn(values: dict[Any, Any], tensor: Any) -> None:
    maker = grad_fn_of(tensor) if _known(tensor) else None
    # One part of what a split returned says nothing of the others.
    if maker is not None and len(getattr(maker, "_input_metadata", ())) == 1:
        values.setdefault(maker, tensor)


def _by_zero(node: Any, own: list[Slot]) -> Any:
    """Whatever is divided by 0 is not finite; by others it is not known."""
    other: Any = next((each.data for each in own if each.name == "other"), None)
    if kind_of_node(node) != "Div" or not counts(other):
        return None
    zero = other.detach() == 0
    return torch.where(zero, torch.inf, other.detach()) if bool(zero.any()) else None


def _masked(node: Any, saved: dict[Any, list[Slot]], values: dict[Any, Any]) -> Any:
    """The node that masked what a softmax took with -inf. Where its output is not known, the
    softmax may prove it, and it is added to `values`: rows masked in part are finite and 0 there,
    and those that are NaN are masked whole."""
    if kind_of_node(node) not in ("Softmax", "LogSoftmax") or node not in values:
        return None
    mask_node = node.next_functions[0][0]
    if mask_node not in saved or kind_of_node(mask_node) != "MaskedFill":
        return None
    mask: Any = next((each.data for each in saved[mask_node] if each.name == "mask"), None)
    before = values.get(mask_node.next_functions[0][0])
    if mask is None or before is None or odd(before):
        return None
    result = values[node].detach()
    mask = mask.expand(result.shape)
    known = values.get(mask_node)
    if known is not None:
        return mask_node if bool(torch.isneginf(known.detach()[mask]).all()) else None
    dim: Any = getattr(node, "_saved_dim", None)
    if type(dim) is not int:
        return None
    whole = mask.all(dim - 2**64 if dim >= 2**63 else dim, keepdim=True).expand(result.shape)
    partly = result[mask & ~whole]
    nothing = 0.0 if kind_of_node(node) == "Softmax" else -torch.inf
    if not count_of(partly) or not bool((partly == nothing).all()):
        return None
    if not torch.equal(torch.isnan(result), whole):
        return None
    values[mask_node] = before.detach().masked_fill(mask, -torch.inf)
    return mask_node


def _proved(nodes: list[Any], saved: dict[Any, list[Slot]], values: dict[Any, Any]) -> set[Any]:
    """The nodes that masked with -inf what an exponential of the program's own softmax took. What a
    mask writes is not saved; that it is -inf is proved where all that is computed with it gives the
    exponentials that were saved: 0 where rows are masked in part, and NaN in those masked whole."""
    found: set[Any] = set()
    exponentials = [each for each in saved if kind_of_node(each) == "Exp" and each in values]
    for node, own in saved.items() if exponentials else ():
        if kind_of_node(node) != "MaskedFill":
            continue
        before = values.get(node.next_functions[0][0])
        mask: Any = next((each.data for each in own if each.name == "mask"), None)
        if mask is None or before is None or odd(before):
            continue
        if (known := values.get(node)) is not None:
            known = known.detach()
            if bool(torch.isneginf(known[mask.expand(known.shape)]).all()):
                found.add(node)
            continue
        tried = {**values, node: before.detach().masked_fill(mask, -torch.inf)}
        recompute(nodes, tried)
        for each in exponentials:
            parent = each.next_functions[0][0]
            if parent not in values and _agree(tried.get(parent), values[each].detach(), mask):
                values.update(tried)
                found.add(node)
                break
    return found


def _agree(given: Any, result: Any, mask: Any) -> bool:
    """Whether `result` are the exponentials of `given`, and the mask made some of them 0."""
    if given is None or given.shape != result.shape or mask.dim() > result.dim():
        return False
    try:
        hidden = result[mask.expand(result.shape)]
    except RuntimeError:
        return False
    return bool((hidden == 0).any()) and torch.allclose(
        given.detach().exp(), result, 1e-3, 1e-6, equal_nan=True
    )


def _hand_on(meant: set[Any], nodes: list[Any], made: dict[Any, Odd]) -> None:
    """Add to `meant` what has a mask's infinite numbers from it alone, as the largest of a row."""
    for node in sorted(nodes, key=sequence) if meant else ():
        own = made.get(node)
        odd_parents = [each for each, _ in node.next_functions if made.get(each)]
        if own and not own.nan and odd_parents and all(each in meant for each in odd_parents):
            meant.add(node)


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
    node: Any,
    own: list[Slot],
    made: dict[Any, Odd],
    values: dict[Any, Any],
    meant: set[Any],
) -> Found | None:
    """What a suspect is known to have made. An infinite number in a node of `meant` is a mask's."""
    # Of two operands the first is called self; the slots are in the order of their names.
    tensors = [
        each.data
        for each in sorted(own, key=lambda slot: slot.name != "self")
        if not _is_result(each) and is_tensor(each.data)
    ]  # fmt: skip
    kind = kind_of_node(node)
    found = made.get(node)
    # What a mask writes is the program's own number.
    if not found or kind == "MaskedFill":
        return None
    parents = [parent for parent, _ in node.next_functions]
    if any(p is None for p in parents) and kind in _FORGETS:
        return None
    if any(
        p is not None and leaf_of(p) is None
        and (p not in made or (made[p] and not (p in meant and found.nan)))
        for p in parents
    ) or any(odd(each) for each in tensors):  # fmt: skip
        return None
    given = tensors or [values[p] for p in parents if p in values]
    if kind == "Div" and not any(each.name == "self" for each in own):
        # What is divided was not saved.
        given = [values.get(parents[0], torch.ones(())), *given]
    if kind == "CtcLoss":
        lengths = [getattr(node, f"_saved_{name}_lengths", ()) for name in ("input", "target")]
        given = [*tensors[:2], *(torch.tensor(each) for each in lengths)]
    numbers = [saved_number(node, "exponent")]
    said = critical(spelt(kind), given, [n for n in numbers if type(n) in (int, float)])
    meant_by = given[said.operand] if said.operand < len(given) else None
    slot = next((each.name for each in own if each.data is meant_by), "")
    whole = count_of(values[node])
    return Found(node, kind, found, whole, given, said.operand, said.text, slot=slot)


def spelt(kind: str) -> str:
    """``log_softmax`` for `LogSoftmax`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind).strip("_")
