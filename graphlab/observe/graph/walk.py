"""Walks the autograd graph iteratively, reads nodes' saved tensors, and keeps deep graphs alive.

Torch frees a graph without recursion, except for nodes that have a Python wrapper: a chain of some
fifty thousand of those overflows the stack when the program rebinds its loss. So a list of the
nodes is held until the loss is gone, and then freed one node at a time.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch

from graphlab.observe.process_state import PROCESS
from graphlab.observe.tensors import (
    grad_fn_of,
    is_leaf,
    is_nested,
    is_tensor,
    no_dispatch,
    requires_grad,
    shape_of,
    version_of,
)
from graphlab.source.objects import class_name, exactly, is_a, items

# Sequence number of AccumulateGrad: leaves are not made by a forward operation.
LEAF_SEQ = 2**64 - 1


class Slot(NamedTuple):
    """One saved tensor: `data` is None once freed; `stale` means that `unpack` raises, as the
    tensor was written in place since. Rests on `_raw_saved_*`, private to torch."""

    name: str
    data: Any
    stale: bool
    unpack: Callable[[], Any] | None = None


# For each type of nodes, what one saves: its name, and those of two attributes, the one that
# describes it and the one that unpacks it.
_slots_of_type: dict[type, tuple[tuple[str, str, str], ...]] = {}


_native: Any = torch._C


_Function = _native._FunctionBase


# Collections of Python's own: iterating over them runs none of the program's code.
_COLLECTIONS = (set, frozenset, deque, type({}.keys()), type({}.values()))


def walk(roots: Iterable[Any], limit: int | None = None) -> list[Any]:
    """Every node reachable from `roots`, each once, `limit` of them at most. The list keeps
    their Python wrappers alive, without which the `id()` of a node is not unique."""
    seen: set[Any] = set()
    order: list[Any] = []
    stack = [node for node in roots if node is not None]
    while stack and len(order) != limit:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        order.append(node)
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                stack.append(parent)
    return order


def needed(nodes: list[Any], inputs: Iterable[Any]) -> list[Any]:
    """Those of `nodes` that a backward with `inputs` (nodes) runs: the ones that lead to one."""
    goals = set(inputs)
    children: dict[Any, list[Any]] = {}
    for node in nodes:
        for parent, _ in node.next_functions:
            if parent is not None:
                children.setdefault(parent, []).append(node)
    reached = set()
    stack = [goal for goal in goals if goal in children or goal in nodes]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack.extend(children.get(node, ()))
    return [node for node in nodes if node in reached]


def grad_edge(tensor: Any) -> Any:
    """The node that receives the gradient of `tensor`: its grad_fn, or a leaf's AccumulateGrad.
    None if there is none, or torch does not give it."""
    if not is_tensor(tensor):
        return tensor.node if type(tensor) is torch.autograd.graph.GradientEdge else None
    node = grad_fn_of(tensor)
    try:
        if node is not None or not (requires_grad(tensor) and is_leaf(tensor)):
            return node
    except RuntimeError:
        # One of several views, as of `unbind`, whose base was written.
        return None
    try:
        with torch.enable_grad(), no_dispatch():
            view: Any = torch._C.TensorBase.view_as(tensor, tensor)
        return grad_fn_of(view).next_functions[0][0]
    except Exception:
        # Sparse and nested leaves, and wrapper subclasses, have no views.
        return None


def leaf_of(node: Any) -> Any:
    """The leaf that an AccumulateGrad node adds to; None for any other node, as a custom
    Function may have set an attribute of that name."""
    return node.variable if class_name(node) == "AccumulateGrad" else None


def sequence(node: Any) -> int:
    """The node's sequence number; -1 if this torch has none. Private: `Node._sequence_nr`."""
    try:
        return node._sequence_nr()
    except AttributeError:
        return -1


def operation(node: Any) -> str:
    """The name of a node's class: ``MulBackward0``."""
    # A custom Function's class may override `name`.
    name = _Function.name(node) if is_a(node, _Function) else node.name()
    return name.rsplit("::", 1)[-1]


def output_shape(node: Any) -> tuple[int, ...]:
    """The shape of a node's output. Private to torch: `Node._input_metadata`."""
    for each in getattr(node, "_input_metadata", ()):
        return tuple(each.shape)
    return tuple(node.variable.shape) if class_name(node) == "AccumulateGrad" else ()


def slot_names(node: Any) -> tuple[str, ...]:
    """The names of what a node like this one saves."""
    return tuple(short for short, _, _ in _attributes_of(type(node)))


def saved_number(node: Any, name: str) -> Any:
    """What a node saved under `name` that is no tensor; None if there is none. To read a tensor is
    to unpack it: it may be stale or freed, or a hook of the program's would run."""
    if hasattr(type(node), f"_raw_saved_{name}"):
        return None
    return getattr(node, f"_saved_{name}", None)


def _attributes_of(kind: type) -> tuple[tuple[str, str, str], ...]:
    found = _slots_of_type.get(kind)
    if found is None:
        start = "_raw_saved_"
        names = [name[len(start) :] for name in dir(kind) if name.startswith(start)]
        found = tuple((each, f"{start}{each}", f"_saved_{each}") for each in names)
        _slots_of_type[kind] = found
    return found


def fresh_slots(node: Any) -> list[tuple[str, Any]] | None:
    """As `slots`, the name and data of each, if they can all be unpacked and none by a hook; None
    if it takes `slots` to tell. Most nodes are such, and this is quick."""
    found = []
    try:
        for short, described, unpacked in _attributes_of(type(node)):
            raw = getattr(node, described)
            if raw.unpack_hook is not None:
                return None
            data = raw.data
            if data is not None:
                if is_nested(data):
                    return None
                found.append((short, data))
            getattr(node, unpacked)
    except (RuntimeError, AttributeError):
        # The latter: it is a list of tensors.
        return None
    return found


def slots(node: Any) -> list[Slot]:
    """The tensors that `node` saved."""
    found: list[Slot] = []
    for short, described, unpacked in _attributes_of(type(node)):
        try:
            raw = getattr(node, described)
        except RuntimeError:
            found.append(Slot(short, None, False))
            continue
        if not isinstance(raw, list | tuple):
            _read(found, short, raw, partial(getattr, node, unpacked))
        elif described == "_raw_saved_tensors":
            _read_custom(found, node, raw)
        else:
            for index, each in enumerate(raw):
                if each is not None:
                    _read(found, f"{short}[{index}]", each, _unpack(node, unpacked, each))
    return found


def _unpack(node: Any, unpacked: str, raw: Any) -> Callable[[], Any]:
    """What raises a RuntimeError where `raw`, one of several in a slot, was written since it was
    saved. Torch 2.11 unpacks them together only, and names the version of the one that it
    cannot."""
    alone = getattr(raw, "unpack", None)
    return alone if alone is not None else partial(_unpack_together, node, unpacked, raw)


def _unpack_together(node: Any, unpacked: str, raw: Any) -> None:
    data = raw.data
    try:
        getattr(node, unpacked)
    except RuntimeError as error:
        said = str(error)
        shape = ", ".join(map(str, shape_of(data)))
        if f"[{shape}]]" in said and f"is at version {version_of(data)};" in said:
            raise


def _read(found: list[Slot], name: str, raw: Any, unpack: Callable[[], Any]) -> None:
    if getattr(raw, "unpack_hook", None) is not None:
        # Unpacking would run the user's hook: a checkpoint would recompute its whole segment.
        return
    data = _data(raw)
    if _unsafe_to_unpack(data):
        return
    try:
        unpack()
    except RuntimeError:
        found.append(Slot(name, data, data is not None, unpack))
    else:
        # A slot that never held a tensor, such as a missing bias, is neither freed nor stale.
        if data is not None:
            found.append(Slot(name, data, False))


def _data(raw: Any) -> Any:
    try:
        return raw.data
    except RuntimeError:
        return None


def _unsafe_to_unpack(data: Any) -> bool:
    """torch crashes on reading the shape of a stale nested tensor while functions of subclasses are
    disabled."""
    return data is not None and is_nested(data)


def _read_custom(found: list[Slot], node: Any, raws: Any) -> None:
    """A custom Function's own outputs cannot be unpacked one by one: only `saved_tensors` can,
    so when that raises and every input is fresh, it is a written output that is stale."""
    if any(_unsafe_to_unpack(_data(raw)) for raw in raws):
        return
    try:
        node.saved_tensors  # noqa: B018
        broken = False
    except RuntimeError:
        broken = True
    if not broken:
        for index, raw in enumerate(raws):
            _read(found, f"tensors[{index}]", raw, lambda: None)
        return
    read: list[Slot | None] = []
    outputs: list[tuple[int, Any]] = []
    for index, raw in enumerate(raws):
        unpack = _unpack(node, "saved_tensors", raw)
        try:
            unpack()
            read.append(Slot(f"tensors[{index}]", raw.data, False))
        except RuntimeError:
            data: Any = raw.data
            if data is not None and is_leaf(data) and not requires_grad(data):
                outputs.append((index, raw))
            else:
                read.append(Slot(f"tensors[{index}]", raw.data, True, unpack))
    nothing_stale = not any(slot is not None and slot.stale for slot in read)
    for index, raw in outputs:
        read.append(Slot(f"tensors[{index}]", raw.data, nothing_stale and version_of(raw.data) > 0))
    found += [slot for slot in read if slot is not None]


def is_function(node: Any) -> bool:
    """Whether it is a custom Function's, whose backward is the program's code."""
    return is_a(node, _Function)


def unpacks_by_hook(node: Any) -> bool:
    """Whether a tensor that it saved is unpacked by a hook of the program's."""
    for name in (each for each in dir(type(node)) if each.startswith("_raw_saved_")):
        try:
            raw = getattr(node, name)
        except RuntimeError:
            continue
        several = raw if isinstance(raw, list | tuple) else [raw]
        if any(getattr(each, "unpack_hook", None) is not None for each in several):
            return True
    return False


def running_statistics_unused(node: Any, name: str) -> bool:
    """A train-mode batch norm saves its running statistics and never reads them back."""
    return name in ("running_mean", "running_var") and bool(
        getattr(node, "_saved_training", getattr(node, "_saved_train", False))
    )


def listed(value: Any) -> list[Any]:
    """One tensor or edge, several, or a dict of them, as a list."""
    if value is None:
        return []
    if is_tensor(value) or type(value) is torch.autograd.graph.GradientEdge:
        return [value]
    if exactly(value, *_COLLECTIONS):
        return list(value)
    # Any other iterator, such as model.parameters(), belongs to the program: it is not consumed.
    return [each for _, each in items(value)]


# Graphs of fewer nodes cannot overflow the stack.
DEEP = 10_000


def hold(nodes: list[Any], losses: Iterable[Any]) -> None:
    """Keep `nodes`, a walk from `losses`, alive until the last of these is gone and this or `sweep`
    is called again."""
    sweep()
    if len(nodes) <= DEEP:
        return
    kept = nodes[:]
    key = id(kept)
    tensors = [each for each in losses if is_tensor(each)]
    if not tensors:
        return
    PROCESS.held[key], PROCESS.alive[key] = kept, len(tensors)
    for tensor in tensors:
        weakref.finalize(tensor, _one_less, key).atexit = False


def sweep() -> None:
    """Free the nodes that were held for losses that are gone."""
    while PROCESS.gone:
        release(PROCESS.held.pop(PROCESS.gone.pop()))


def release(nodes: list[Any]) -> None:
    """Free a walk's nodes one by one from the losses on, emptying the list."""
    nodes.reverse()
    while nodes:
        nodes.pop()


def _one_less(key: int) -> None:
    # `release` has to wait: the loss still holds its grad_fn now.
    PROCESS.alive[key] -= 1
    if not PROCESS.alive[key]:
        del PROCESS.alive[key]
        PROCESS.gone.append(key)


def added_up(node: Any, depth: int = 8) -> tuple[int, ...]:
    """The numbers of the nodes that a sum adds up, those of sums in it among them; () for what is
    no sum."""
    if operation(node) != "AddBackward0":
        return ()
    found: list[int] = []
    for each, _ in node.next_functions:
        if each is not None:
            found += (added_up(each, depth - 1) if depth else ()) or (sequence(each),)
    return tuple(sorted(found))
