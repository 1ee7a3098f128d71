"""Names the user's modules that only a library's variables lead to, as ``Trainer().fit(Model())``
leaves them: by their class."""

from __future__ import annotations

from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import Names
from graphlab.observe.tensors import is_module
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, class_name, variables

# So many frames are looked through, and so many of what each of their objects holds.
FRAMES, ITEMS = 64, 256


def name_what_libraries_hold(names: Names, frame: FrameType | None, files: UserFiles) -> None:
    """Add what the variables of the libraries' frames from `frame` outwards hold, or their
    ``self``, with what those modules lead to: also a plain list of layers."""
    for each in held_by_libraries(names, frame, files):
        if id(each) not in names.modules:
            names.gather_from({class_name(each): each})


def held_by_libraries(names: Names, frame: FrameType | None, files: UserFiles) -> list[Any]:
    """The modules of the user's own classes that these frames hold."""
    found: dict[int, Any] = {}
    for _ in range(FRAMES):
        if frame is None:
            break
        if frame.f_code not in files:
            for value in _held(variables(frame.f_locals)):
                if is_module(value) and id(value) not in found and names.is_users(type(value)):
                    found[id(value)] = value
        frame = frame.f_back
    return [*found.values()]


def _held(space: dict[str, Any]) -> list[Any]:
    own = space.get("self")
    inner = [*attributes(own).values()] if own is not None and not is_module(own) else []
    return [*space.values(), *inner[:ITEMS]]


def gathered(name: str, names: Names) -> bool:
    """Whether a parameter is what fully_shard has gathered for a module that it was called on, and
    whose shards an optimizer holds: the class of the module is made anew then."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return False
    types, holder = names.module_types(), name
    while "." in holder:
        holder = holder.rpartition(".")[0]
        if types.get(holder, "").startswith("FSDP"):
            return True
    return False
