"""Finds the version at which a tensor was saved for backward, which torch keeps to itself."""

from __future__ import annotations

from typing import Any

from graphlab.observe.graph.walk import Slot
from graphlab.observe.tensors import UNKNOWN, version_of

# How many versions back are tried: a step or two make a handful of writes.
BACK = 64


def saved_version(slot: Slot) -> int | None:
    """The version that unpacking a stale `slot` expects; None if it cannot be found.

    Found by trying: the counter is set back until torch unpacks, and is then restored. No value is
    read or written. Private to torch: `torch._C._autograd._unsafe_set_version_counter`.
    """
    import torch

    tensor: Any = slot.data
    now = version_of(tensor)
    private = getattr(torch._C, "_autograd", None)
    set_version = getattr(private, "_unsafe_set_version_counter", None)
    if slot.unpack is None or now == UNKNOWN or set_version is None:
        return None
    try:
        for version in range(now - 1, max(-1, now - 1 - BACK), -1):
            set_version((tensor,), (version,))
            try:
                slot.unpack()
            except RuntimeError:
                continue
            return version
    except TypeError:  # another signature, in another torch
        return None
    finally:
        if version_of(tensor) != now:
            set_version((tensor,), (now,))
    return None
