"""Facts of a tensor for which torch refuses an operation, read without running code of the user."""

from __future__ import annotations

import types
from typing import Any

import torch

from graphlab.observe.tensors import is_leaf, is_tensor, requires_grad, shape_of

_Base: Any = torch._C.TensorBase
# Private to torch. Without it no tensor counts as mapped by a vmap.
_functorch: Any = getattr(torch._C, "_functorch", types.SimpleNamespace())
_is_batched: Any = getattr(_functorch, "is_batchedtensor", lambda tensor: False)
_is_tracked: Any = getattr(_functorch, "is_gradtrackingtensor", lambda tensor: False)
_level: Any = getattr(_functorch, "maybe_get_level", lambda tensor: -1)
_inner: Any = getattr(_functorch, "get_unwrapped", None)


def is_result(value: Any) -> bool:
    """Whether it is a tensor with a graph behind it."""
    return is_tensor(value) and requires_grad(value) and not is_leaf(value)


def is_inference(value: Any) -> bool:
    """Whether it was made under ``torch.inference_mode()``."""
    return is_tensor(value) and bool(_Base.is_inference(value))


def holds_integers(value: Any) -> bool:
    """Whether it is a tensor of numbers that no gradient leads to."""
    if not is_tensor(value):
        return False
    dtype = _Base.dtype.__get__(value)
    return not (dtype.is_floating_point or dtype.is_complex)


def retains_grad(tensor: Any) -> bool:
    """Whether ``retain_grad()`` was called on it."""
    try:
        return bool(_Base.__dict__["retains_grad"].__get__(tensor))
    except (KeyError, RuntimeError):
        return False


def shares_elements(tensor: Any) -> bool:
    """Whether several of its elements are one in memory, as after ``expand``."""
    try:
        strides = tuple(_Base.stride(tensor))
    except Exception:
        return False
    return any(
        size > 1 and step == 0 for size, step in zip(shape_of(tensor), strides, strict=False)
    )


def batch_levels(tensor: Any) -> frozenset[int]:
    """The vmaps, by level, that map over it."""
    found: set[int] = set()
    while _inner is not None and (_is_batched(tensor) or _is_tracked(tensor)):
        if _is_batched(tensor):
            found.add(_level(tensor))
        tensor = _inner(tensor)
    return frozenset(found)
