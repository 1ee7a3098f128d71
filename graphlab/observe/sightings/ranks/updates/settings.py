"""Reads the numbers of an optimizer's parameter groups, as text that the ranks can compare."""

from __future__ import annotations

from typing import Any

from graphlab.observe.distributed.checksums import NOTHING
from graphlab.observe.tensors import readable
from graphlab.source.objects import exactly, items


def number_of(value: Any) -> str:
    """A number, or a tensor of one, as text."""
    if exactly(value, int, float):
        return repr(value)
    return repr(float(value)) if readable(value) and value.numel() == 1 else NOTHING


def settings_of(group: Any) -> str:
    """The numbers of a parameter group but its learning rate, as text."""
    plain = (int, float, bool)
    found = [
        f"{name}={value!r}"
        for name, value in items(group)
        if name not in ("lr", "params", "initial_lr")
        and (
            exactly(value, *plain)
            or (type(value) is tuple and all(exactly(v, *plain) for v in value))
        )
    ]
    return ", ".join(found)
