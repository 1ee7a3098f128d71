"""Which variables lead into the graph of a saved tensor that a backward fails on."""

from __future__ import annotations

from types import FrameType
from typing import Any

from graphlab.observe.deep import hold
from graphlab.observe.graph import sequence, walk
from graphlab.observe.growth import node_behind, parts
from graphlab.observe.source import UserFiles, user_frame
from graphlab.trace.model import Carrier

# A graph larger than this is not searched once for each variable.
LARGE = 20_000
MOST = 24


def carriers(frame: FrameType, files: UserFiles, seq: int) -> tuple[Carrier, ...]:
    """The variables of the function that the backward is called from, those of the module that it
    uses, and the attributes of their objects, whose graph has the node `seq`."""
    import torch

    user = user_frame(frame, files)
    if user is None:
        return ()
    code, everywhere = user.f_code, user.f_globals
    used = {name: everywhere[name] for name in code.co_names if name in everywhere}
    found: dict[str, Carrier] = {}
    seen: set[int] = set()
    for name, value in list({**used, **user.f_locals}.items()):
        for label, each in parts(name, value):
            whole = each if isinstance(each, list | tuple) else [each]
            tensors = [one for one in whole if isinstance(one, torch.Tensor)]
            if not tensors or id(each) in seen or len(found) >= MOST:
                continue
            seen.add(id(each))
            nodes = walk([node for t in tensors if (node := node_behind(t)) is not None], LARGE)
            hold(nodes, tensors)
            if any(sequence(node) == seq for node in nodes):
                found[label] = Carrier(label, _form(each, len(tensors)))
    return tuple(found.values())


def _form(value: Any, tensors: int) -> Any:
    if hasattr(value, "grad_fn"):
        return "tensor"
    # A named tuple is built in another way.
    plain = len(value) == tensors and type(value) in (tuple, list)
    return type(value).__name__ if plain else "other"
