"""Finds the line that gave a loss its imaginary part, in the graph."""

from __future__ import annotations

from math import prod
from typing import Any

from graphlab.observe.graph.engine import Metadata, metadata
from graphlab.observe.graph.walk import leaf_of, sequence
from graphlab.observe.notes import Log
from graphlab.observe.tensors import grad_fn_of
from graphlab.source.places import locate
from graphlab.trace.model import Location

_MOST = 10_000


def complex_since(root: Any, log: Log) -> list[Location]:
    """The lines that made a single complex number of which `root` is computed: by adding up complex
    values, or out of real ones. More than one if several of its summands are complex."""
    ends: dict[Location, None] = {}
    node = grad_fn_of(root)
    stack, seen = [node] if node is not None else [], set()
    while stack and len(seen) < _MOST:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        inner = [
            (child, made)
            for child, at in node.next_functions
            if child is not None and (made := metadata(child, at)) is not None and _complex(made)
        ]
        single = [
            child for child, made in inner if prod(made.shape) == 1 and leaf_of(child) is None
        ]
        if single and len(single) == len(inner):
            stack += single
            continue
        mark = log.mark_of(sequence(node))
        if mark is None or mark.code is None:
            return []
        ends[locate(mark.code, mark.offset)] = None
    return [*ends]


def _complex(made: Metadata) -> bool:
    return made.dtype.startswith("complex")
