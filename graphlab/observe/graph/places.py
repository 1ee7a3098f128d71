"""Which elements of a memory a tensor reads: whether a write to one part touched another.

A solver keeps all stages of a step in one buffer and writes each through `.data` while the earlier
ones are saved. The bytes of two columns interleave, so first and last byte do not tell.
"""

from __future__ import annotations

from types import EllipsisType, NoneType
from typing import Any

import torch

from graphlab.observe.tensors import laid_out

_native: Any = torch._C
_element_size: Any = _native.TensorBase.element_size

Layout = tuple[tuple[int, ...], tuple[int, ...], int]


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
