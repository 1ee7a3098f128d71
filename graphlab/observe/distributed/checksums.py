"""Checksums of tensors, by which ranks are compared without communication."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from graphlab.observe.tensors import Unnoticed, readable

# What stands for a tensor that is not there, or cannot be read.
NOTHING = "-"
# One that is larger than this is represented by as many of its elements, evenly spread.
ELEMENTS = 1 << 16
# The classes of parameters that are whole on each rank.
WHOLE = (torch.Tensor, torch.nn.Parameter)


def checksum(tensor: Any) -> str:
    """Of the bits of its values; NOTHING where there is none, or they cannot be read."""
    if tensor is None or not readable(tensor):
        return NOTHING
    with Unnoticed(), torch.no_grad():
        flat = tensor.detach().reshape(-1)
        if flat.numel() > ELEMENTS:
            flat = flat[:: flat.numel() // ELEMENTS + 1]
        raw = flat.contiguous().view(torch.uint8).cpu().numpy().tobytes()
    return hashlib.blake2b(raw, digest_size=6).hexdigest()
