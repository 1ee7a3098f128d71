"""A tensor's storage, the bytes of it that the tensor covers, and its version counter."""

from __future__ import annotations

from typing import Any

# The version of a tensor that has no counter.
UNKNOWN = -1


def storage_key(tensor: Any) -> int | None:
    """An address that all views of one storage share; None where there is no storage."""
    try:
        return tensor.untyped_storage()._cdata
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        try:
            return tensor.untyped_storage().data_ptr()
        except Exception:
            return None


def byte_span(tensor: Any) -> tuple[int, int]:
    """First and one-past-last byte that `tensor` may touch, counted within its storage."""
    size = tensor.element_size()
    first = tensor.storage_offset() * size
    if tensor.numel() == 0:
        return first, first
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    return first, first + (reach + 1) * size


def version_of(tensor: Any) -> int:
    """The version counter; an inference tensor has none."""
    try:
        return tensor._version
    except (RuntimeError, AttributeError):
        return UNKNOWN


def versions_of(tensors: list[Any]) -> list[int]:
    """The version counter of each."""
    try:
        return [tensor._version for tensor in tensors]
    except (RuntimeError, AttributeError):
        return [version_of(tensor) for tensor in tensors]
