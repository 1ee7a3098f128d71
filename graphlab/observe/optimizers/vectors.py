"""Computes with the program's parameters and gradients in pieces, which takes little memory.

Parameters beyond `COPIES` bytes are not copied: a digest shows whether they have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from graphlab.observe.tensors import bytes_of, is_tensor, readable, version_of
from graphlab.source.objects import attribute

# Elements that are worked on at a time.
PIECE = 1 << 18
# Bytes of parameters that are copied before a step that is compared by value.
COPIES = 64 * 1024**2
# A sparse gradient with more elements than this, counted as dense, is not compared.
WIDEST = 10_000_000


def pieces(*tensors: Any) -> Iterator[tuple[Any, ...]]:
    """Matching views of tensors of one shape, each of about `PIECE` elements at most."""
    first = tensors[0]
    count = first.numel()
    if count <= PIECE or first.dim() == 0:
        yield tensors
        return
    rows = max(1, PIECE // (count // first.shape[0]))
    for part in zip(*(each.split(rows) for each in tensors), strict=True):
        if part[0].numel() <= 2 * PIECE:
            yield part
        else:
            yield from pieces(*(each.squeeze(0) for each in part))


def computable(grad: Any) -> bool:
    """Whether a gradient can be compared: its values can be read, and it is not too wide."""
    return readable(grad) and not (grad.is_sparse and grad.numel() > WIDEST)


def shard_of(grad: Any) -> Any:
    """This rank's part of a sharded gradient, None of another. Private: `_local_tensor`."""
    own = attribute(grad, "_local_tensor") if grad is not None else None
    return own if is_tensor(own) and readable(own) else None


def dense(grad: Any) -> Any:
    """Its values as a dense real tensor, detached."""
    grad = grad.detach()
    if grad.layout is not torch.strided:
        grad = grad.to_dense()
    return torch.view_as_real(grad) if grad.is_complex() else grad


def dot(one: Any, other: Any) -> Any:
    """The inner product of two dense tensors of one shape, as a tensor on their device."""
    total: Any = None
    for left, right in pieces(one, other):
        if left.device.type == "mps":
            # Apple's GPUs know no double precision.
            part = (left * right).sum()
        else:
            part = (left.double() * right.double()).sum()
        total = part if total is None else total + part
    return total


def numbers(values: list[Any]) -> list[float]:
    """The values of several scalar tensors, with one synchronisation for each device."""
    by_device: dict[Any, list[int]] = {}
    for at, value in enumerate(values):
        by_device.setdefault(value.device, []).append(at)
    found = [0.0] * len(values)
    for places in by_device.values():
        read = torch.stack([values[at] for at in places]).tolist()
        for at, number in zip(places, read, strict=True):
            found[at] = number
    return found


def any_nonzero(grad: Any) -> bool:
    """Whether a gradient has an element that is not zero; True if it cannot be read."""
    if not computable(grad):
        return True
    return any(bool(part.any()) for (part,) in pieces(dense(grad)))


class SavedValues:
    """The values of a tensor at one moment: a copy of them, a digest of those that are too many,
    or its version alone where its values cannot be read."""

    __slots__ = ("digest", "tensor", "values", "version")

    def __init__(self, tensor: Any, version: int, room: int) -> None:
        self.tensor, self.version = tensor, version
        self.values: Any = None
        self.digest: Any = None
        if readable(tensor):
            if bytes_of(tensor) <= room:
                self.values = tensor.detach().clone()
            else:
                self.digest = _digest(tensor)

    @property
    def size(self) -> int:
        """The bytes that the copy takes."""
        return bytes_of(self.values) if self.values is not None else 0

    def changed(self, version: int) -> bool:
        """Whether the values are others by now; `version` is what the tensor's counter says."""
        if self.values is not None:
            now, before = self.tensor.detach(), self.values
            if now.layout is not torch.strided:
                now, before = dense(now), dense(before)
            return not torch.equal(now, before)
        if self.digest is not None:
            return self.digest != _digest(self.tensor)
        return version != self.version


Copies = list[SavedValues]


def copies_of(tensors: list[Any]) -> Copies:
    """The values of each tensor as they are now."""
    room, found = COPIES, []
    for tensor in tensors:
        saved = SavedValues(tensor, version_of(tensor), room)
        room -= saved.size
        found.append(saved)
    return found


def _digest(tensor: Any) -> tuple[int, ...]:
    """Sums over the bit patterns of its pieces."""
    values = dense(tensor)
    kind = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    parts = [part for (part,) in pieces(values)]
    # In one place: small results between large temporaries would keep the allocator from using
    # the same memory again.
    sums = torch.zeros(len(parts), dtype=torch.int64, device=values.device)
    for at, part in enumerate(parts):
        flat = part.contiguous().view(kind).view(-1)
        torch.sum(flat, 0, dtype=torch.int64, out=sums[at])
    return tuple(sums.tolist())


class Sample:
    """Some values of a tensor at one moment, to tell whether they have been changed since."""

    __slots__ = ("shape", "values")

    def __init__(self, tensor: Any) -> None:
        self.shape, self.values = tuple(tensor.shape), _some_of(tensor)

    def same(self, tensor: Any) -> bool:
        """Whether the tensor's values are still these, or these in another type; False where they
        cannot be read."""
        now = _some_of(tensor) if tuple(tensor.shape) == self.shape else None
        if self.values is None or now is None:
            return False
        return torch.equal(self.values.to(now.dtype), now)


def _some_of(tensor: Any) -> Any:
    if not readable(tensor) or tensor.layout is not torch.strided:
        return None
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, flat.numel() // 64)].to("cpu", copy=True)
