"""Reads what a graph keeps of each of its tensors, all at once, as it has thousands of them."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.observe.tensors import (
    bytes_of,
    dtype_name,
    dtype_of,
    shape_of,
    storage_key,
    version_of,
)

_Tensor, _Parameter = torch.Tensor, torch.nn.Parameter


def facts_of(tensor: Any) -> tuple[tuple[int, ...], str, int, int | None, int]:
    """Its `shape_of`, `dtype_of`, `bytes_of`, `storage_key` and `version_of`."""
    kind = type(tensor)
    if kind is _Tensor or kind is _Parameter:
        try:
            # Of torch's own two classes, these are what the functions call.
            shape, size, dtype = tuple(tensor.shape), tensor.nbytes, dtype_name(tensor.dtype)
            for each in shape:
                if type(each) is not int:
                    break
            else:
                return shape, dtype, size, tensor.untyped_storage()._cdata, tensor._version
        except Exception:
            # It has no storage, no version or no sizes.
            pass
    return (
        shape_of(tensor),
        dtype_of(tensor),
        bytes_of(tensor),
        storage_key(tensor),
        version_of(tensor),
    )
