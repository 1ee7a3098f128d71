"""Finds parameters that a function makes anew in each call, and that only the graph holds: their
gradient is computed, and lost with the graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from graphlab.observe.graph.walk import leaf_of, sequence
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward, Spot
from graphlab.observe.optimizers.vectors import any_nonzero
from graphlab.observe.tensors import Named, Ref, readable, shape_of
from graphlab.source.effects.origins import stores_of_variable
from graphlab.source.effects.stores import last_part
from graphlab.source.places import expression_of, locate, place, statement_at
from graphlab.trace.model import Location

# So many of one line must have been reached, each after the one before it was gone.
TIMES = 3


@dataclass(slots=True)
class PassingParameter:
    """Those that the line `made` has made under one name; `ref` is the last one."""

    ref: Ref
    record: RawBackward
    made: Location
    mates: tuple[int, ...]
    index: int
    count: int = 1
    held: bool = False


class PassingParameters:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._found: dict[tuple[Location, str], PassingParameter] = {}

    def note(
        self,
        leaves: list[Any],
        record: RawBackward,
        nodes: list[Any],
        names: Names,
        mates: tuple[int, ...],
        index_of: Any,
    ) -> None:
        """Parameters without a name that a backward is about to reach."""
        first = _first_uses(nodes, {*map(id, leaves)})
        for leaf in leaves:
            spot = self._log.line_of(first[id(leaf)]) if id(leaf) in first else None
            making = _making(spot, leaf) if spot is not None else None
            if making is None:
                continue
            made, name = making
            known = self._found.get((made, name))
            if known is None:
                names.tensors.setdefault(id(leaf), Named(name, "parameter", ""))
                index = index_of(leaf, names)
                self._found[made, name] = PassingParameter(Ref(leaf), record, made, mates, index)
            elif known.ref() is not leaf:
                known.held = known.held or known.ref() is not None
                known.ref, known.mates = Ref(leaf), mates
                known.count += 1

    def forgotten(self, owned: Mapping[int, Any]) -> Iterator[PassingParameter]:
        """Those that were reached together with some of `owned`."""
        for each in self._found.values():
            if not each.held and each.count >= TIMES and any(m in owned for m in each.mates):
                yield each


def _first_uses(nodes: list[Any], wanted: set[int]) -> dict[int, int]:
    """The sequence number of the first operation on each of these leaves, or on a view of it."""
    found: dict[int, int] = {}
    views: dict[int, int] = {}
    for node in sorted(nodes, key=sequence):
        for operand, _ in node.next_functions:
            if operand is None:
                continue
            leaf = leaf_of(operand)
            at = id(leaf) if leaf is not None and id(leaf) in wanted else views.get(id(operand))
            if at is None:
                continue
            if len(node.next_functions) == 1 and type(node).__name__ == "TBackward0":
                views[id(node)] = at
            found.setdefault(at, sequence(node))
    return found


def _making(spot: Spot, leaf: Any) -> tuple[Location, str] | None:
    """(where it was made, how it is called): the one call in the function of `spot`, a Parameter or
    a layer of torch's, whose value the operation there uses."""
    code, offset = spot
    # The settled path knows the statement alone.
    line = locate(code, offset).line
    used = expression_of(code, offset) if offset >= 0 else statement_at(code.co_filename, line)
    if used is None or hasattr(used, "body"):
        return None
    callee = used.func if isinstance(used, ast.Call) else None
    found = _of_name(callee, code) or _of_call(callee, code)
    if found is None and not (isinstance(callee, ast.Name) and callee.id in code.co_varnames):
        inside = [each for node in ast.walk(used) if (each := _of_name(node, code)) is not None]
        inside += [each for node in ast.walk(used) if (each := _of_call(node, code)) is not None]
        distinct = {ast.dump(call, include_attributes=True): (call, name) for call, name in inside}
        found = next(iter(distinct.values())) if len(distinct) == 1 else None
    if found is None:
        return None
    call, name = found
    layer = last_part(call.func) != "Parameter"
    if not readable(leaf):
        # fully_shard has taken the memory of what it gathered for the forward.
        return None
    # Zeros are how a state begins, and a norm layer that begins with ones may be meant to stay so.
    if not any_nonzero(leaf.detach()) or (layer and not shape_of(leaf)):
        return None
    if layer and not any_nonzero(leaf.detach() - 1):
        return None
    part = "" if not layer else ".bias" if len(shape_of(leaf)) == 1 else ".weight"
    return place(call, code.co_filename, code.co_qualname), name + part


def _of_name(node: ast.AST | None, code: CodeType) -> tuple[ast.Call, str] | None:
    """The call that made what a local variable holds, which nothing else is ever stored in."""
    if not isinstance(node, ast.Name) or node.id not in code.co_varnames:
        return None
    stored = stores_of_variable(code, node.id)
    if len(stored) != 1 or not isinstance(stored[0].target, ast.Name):
        return None
    value = stored[0].value
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        # ``nn.Parameter(…).log()`` is no parameter, but what is made of one.
        if not isinstance(value.func.value, ast.Call):
            break
        value = value.func.value
    return (value, node.id) if isinstance(value, ast.Call) and _makes(value) else None


def _of_call(node: ast.AST | None, code: CodeType) -> tuple[ast.Call, str] | None:
    if isinstance(node, ast.Call) and _makes(node):
        return node, f"{ast.unparse(node.func)}(…)"
    return None


def _makes(call: ast.Call) -> bool:
    name = last_part(call.func)
    made = getattr(torch.nn, name, None) if name[:1].isupper() else None
    return name == "Parameter" or (
        isinstance(made, type) and torch.nn.Module in type.__dict__["__mro__"].__get__(made)
    )
