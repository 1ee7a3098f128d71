"""Which variables lead into the graph of a saved tensor that a backward fails on."""

from __future__ import annotations

from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import hold
from graphlab.observe.graph.walk import sequence, walk
from graphlab.observe.graph.kept import node_behind, parts
from graphlab.source.files import UserFiles, user_frame
from graphlab.observe.tensors import is_tensor
from graphlab.source.objects import class_name, exactly, is_a, items, variables
from graphlab.trace.model import Carrier

# A graph larger than this is not searched once for each variable.
LARGE = 20_000
MOST = 24


def carriers(frame: FrameType, files: UserFiles, seq: int) -> tuple[Carrier, ...]:
    """The variables of the function that the backward is called from, those of the module that it
    uses, and the attributes of their objects, whose graph has the node `seq`."""
    user = user_frame(frame, files)
    if user is None:
        return ()
    everywhere = variables(user.f_globals)
    used = {name: everywhere[name] for name in user.f_code.co_names if name in everywhere}
    found: dict[str, Carrier] = {}
    seen: set[int] = set()
    for name, value in {**used, **variables(user.f_locals)}.items():
        for label, each in parts(name, value):
            whole = [one for _, one in items(each)] if is_a(each, (list, tuple)) else [each]
            tensors = [one for one in whole if is_tensor(one)]
            if not tensors or id(each) in seen or len(found) >= MOST:
                continue
            seen.add(id(each))
            nodes = walk([node for t in tensors if (node := node_behind(t)) is not None], LARGE)
            hold(nodes, tensors)
            if any(sequence(node) == seq for node in nodes):
                found[label] = Carrier(label, _form(each, len(tensors)))
    return tuple(found.values())


def _form(value: Any, tensors: int) -> Any:
    if is_tensor(value):
        return "tensor"
    # A named tuple is built in another way.
    plain = exactly(value, tuple, list) and len(value) == tensors
    return class_name(value) if plain else "other"
