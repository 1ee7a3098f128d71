"""Tells a write that no version counter showed, and that was undone or went elsewhere, from one
that changed what was saved.

A numerical gradient check moves a value through `.data` and puts it back; an evaluation swaps
averaged weights in by `p.data = …`, and out again. A solver keeps all stages of a step in one
buffer and writes each while the earlier ones are saved: the bytes of two columns interleave, so
that first and last byte do not tell. Backward then uses what was saved.
"""

from __future__ import annotations

import ctypes
from types import EllipsisType, NoneType
from typing import Any

import torch

from graphlab.observe.notes import Memory
from graphlab.observe.tensors import (
    address_of,
    byte_span,
    device_of,
    is_tensor,
    laid_out,
    storage_key,
)

_native: Any = torch._C
_storage: Any = _native.TensorBase.untyped_storage
_element_size: Any = _native.TensorBase.element_size
# A larger tensor is not read on each of its writes.
_LIMIT = 1 << 16

Layout = tuple[tuple[int, ...], tuple[int, ...], int]


def memory_of(tensor: Any) -> Memory | None:
    """The memory that `tensor` reads at this moment; None if it has none."""
    key = storage_key(tensor)
    if key is None:
        return None
    start, stop = byte_span(tensor)
    return Memory(key, start, stop, _digest(tensor, start, stop))


def place_of(tensor: Any) -> Any:
    """What tells whether two tensors read the same elements of one memory in the same order; None
    for what is no tensor, or has no elements."""
    layout = laid_out(tensor) if is_tensor(tensor) else None
    key = storage_key(tensor) if layout is not None and 0 not in layout[0] else None
    return (key, *layout) if key is not None and layout is not None else None


def holds(tensor: Any, before: Memory) -> bool:
    """Whether `tensor` has the values that lay in `before`; False where that was not noted."""
    start, stop = byte_span(tensor)
    if before.digest is None or stop - start != before.stop - before.start:
        return False
    return _digest(tensor, start, stop) == before.digest


def put_back(tensor: Any, writes: list[Memory | None]) -> bool:
    """Whether all that `writes` changed in the memory of `tensor` has come back since: each part
    has what lay there before its first write. `tensor` may be one element of it."""
    first: dict[tuple[int, int], Memory] = {}
    for each in writes:
        if each is None or each.digest is None or each.reader:
            return False
        first.setdefault((each.start, each.stop), each)
    base = address_of(tensor) - byte_span(tensor)[0]
    if base <= 0 or device_of(tensor) != "cpu":
        return False
    held = _storage(tensor).nbytes()
    return all(
        stop <= held and hash(ctypes.string_at(base + start, stop - start)) == each.digest
        for (start, stop), each in first.items()
    )


def _digest(tensor: Any, start: int, stop: int) -> int | None:
    if not 0 < stop - start <= _LIMIT or device_of(tensor) != "cpu":
        return None
    address = address_of(tensor)
    # A storage that was resized to nothing is shorter than the tensor says.
    if not address or _storage(tensor).nbytes() < stop:
        return None
    return hash(ctypes.string_at(address, stop - start))


def part_of(target: Any, index: tuple[Any, ...] | None = None) -> Layout | None:
    """The bytes that a write to `target` writes: all of it, or `target[index[0]]`. None where only
    the values of the index tell, or `target` has no strides."""
    layout = laid_out(target)
    if layout is not None and index is not None:
        layout = _taken(layout, index[0]) if index else None
    if layout is None:
        return None
    size = _element_size(target)
    shape, steps, offset = layout
    return (*shape, size), (*(step * size for step in steps), 1), offset * size


def _taken(layout: Layout, index: Any) -> Layout | None:
    """The layout of the view that an index of whole numbers, slices, `...` and None takes. Worked
    out here, as a program's modes must not see a call that the program did not make."""
    items = index if type(index) is tuple else (index,)
    if any(type(each) not in (int, slice, EllipsisType, NoneType) for each in items):
        return None
    shape, steps, offset = layout
    taking = [each for each in items if each is not None]
    rest = len(shape) - sum(each is not ... for each in taking)
    if rest < 0 or sum(each is ... for each in taking) > 1:
        return None
    if ... not in taking:
        taking.append(...)
    at = taking.index(...)
    taking[at : at + 1] = [slice(None)] * rest
    sizes, strides = [], []
    for item, size, step in zip(taking, shape, steps, strict=True):
        if type(item) is int:
            offset += (item + size if item < 0 else item) * step
            continue
        if any(type(end) not in (int, NoneType) for end in (item.start, item.stop, item.step)):
            return None
        first, last, stride = item.indices(size)
        if stride < 1:
            return None
        offset += first * step
        sizes.append(len(range(first, last, stride)))
        strides.append(step * stride)
    return tuple(sizes), tuple(strides), offset


def apart(one: Layout | None, other: Layout | None) -> bool:
    """Whether two layouts in bytes, of one storage, are known to share none.

    Both are taken as boxes of one grid, whose steps are the strides of both: they are apart if they
    are in one direction. False where they are no such boxes."""
    if one is None or other is None:
        return False
    steps = sorted({step for layout in (one, other) for step in _extents(layout)}, reverse=True)
    first, second = _box(one, steps), _box(other, steps)
    if first is None or second is None:
        return False
    return any(a[1] < b[0] or b[1] < a[0] for a, b in zip(first, second, strict=True))


def _extents(layout: Layout) -> dict[int, int]:
    """How often each stride is taken; empty where one is taken in two directions."""
    found: dict[int, int] = {}
    for size, step in zip(layout[0], layout[1], strict=True):
        if size > 1 and step:
            if step in found:
                return {}
            found[step] = size
    return found


def _box(layout: Layout, steps: list[int]) -> list[tuple[int, int]] | None:
    """First and last place along each step; None if the tensor leaves the cell of a larger one."""
    extents = _extents(layout)
    if not extents and any(s > 1 and d for s, d in zip(layout[0], layout[1], strict=True)):
        return None
    rest, box, cell = layout[2], [], None
    # An offset that no step reaches is told apart in steps of one.
    for step in steps if steps and steps[-1] == 1 else [*steps, 1]:
        place, rest = divmod(rest, step)
        last = place + extents.get(step, 1) - 1
        if cell is not None and (last + 1) * step > cell:
            return None
        box.append((place, last))
        cell = step
    return box
