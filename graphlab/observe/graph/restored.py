"""Tells a write that no version counter showed, and that was undone, from one that was not.

A numerical gradient check moves a value through `.data` and puts it back; an evaluation swaps
averaged weights in by `p.data = …`, and out again. Backward then uses what was saved.
"""

from __future__ import annotations

import ctypes
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
# A larger tensor is not read on each of its writes.
_LIMIT = 1 << 16


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
