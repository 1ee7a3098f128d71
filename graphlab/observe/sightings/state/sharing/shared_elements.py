"""Notices two parameters that share their elements where one was to be the other."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import byte_span, is_parameter, shape_of, storage_key
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.objects import attributes, item, items
from graphlab.trace.module_sightings import TieBroken

# So many of the inspected backwards look.
LOOKS = 2


@dataclass(slots=True)
class SharedElements:
    """Looks, at the first backwards, whether two of the parameters that a loss reaches have the
    same elements, and a line of the program's made it so."""

    watched: Watched
    left: int = LOOKS
    told: list[TieBroken] = field(default_factory=list)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or self.left <= 0 or self.told:
            return
        self.left -= 1
        groups: dict[Any, dict[int, Any]] = {}
        for node in nodes:
            leaf = leaf_of(node)
            if leaf is not None and is_parameter(leaf):
                key = (storage_key(leaf), byte_span(leaf), shape_of(leaf))
                groups.setdefault(key, {})[id(leaf)] = leaf
        several = [[*each.values()] for each in groups.values() if len(each) == 2]
        if not several:
            return
        names = Names(self.watched.files).gather(frame)
        optimizers = names.held_optimizers()
        for pair in several:
            if any(_counts_once(each, pair) for each in optimizers):
                continue
            known = [names.tensors.get(id(each)) for each in pair]
            labels = [each.name for each in known if each is not None]
            store = self._made(labels, frame) if len(labels) == 2 else None
            if store is not None:
                place = self.watched.ledger.registry.place_of(pair[0], names)
                at = store.at
                self.told.append(TieBroken(at, at.code, tuple(labels), place, shared=True))

    def _made(self, labels: list[str], frame: FrameType) -> Store | None:
        """The one line that let the one have the other's elements."""
        found = [
            each
            for file in loaded_files(self.watched.files, frame)
            for each in stores(file)
            for one, other in (labels, labels[::-1])
            if _ends_in(_written(each), one) and _ends_in(_elements(each.value), other)
        ]
        return found[0] if len(found) == 1 else None

    def found(self) -> Iterable[TieBroken]:
        return self.told


def _counts_once(optimizer: Any, pair: list[Any]) -> bool:
    """Whether two steps on shared elements are the one on their sum: plain SGD's are. So is it
    where it does not hold both."""
    held = {id(each) for each in parameters_of(optimizer)}
    if not {id(each) for each in pair} <= held:
        return bool(held & {id(each) for each in pair})
    groups = [group for _, group in items(attributes(optimizer).get("param_groups"))]
    return type(optimizer) is torch.optim.SGD and not any(
        item(group, "weight_decay") for group in groups
    )


def _written(store: Store) -> ast.AST | None:
    """``head.weight`` of ``head.weight.data = …`` and of ``head.weight = nn.Parameter(…)``."""
    target = store.target
    if isinstance(target, ast.Attribute) and target.attr == "data":
        return target.value
    value = store.value
    made = isinstance(value, ast.Call) and last_part(value.func) == "Parameter"
    return target if made else None


def _elements(value: ast.AST | None) -> ast.AST | None:
    """The parameter in ``nn.Parameter(embed.weight)``, ``embed.weight.data``."""
    if isinstance(value, ast.Call) and last_part(value.func) == "Parameter" and value.args:
        value = value.args[0]
    if isinstance(value, ast.Attribute) and value.attr == "data":
        value = value.value
    return value


def _ends_in(node: ast.AST | None, label: str) -> bool:
    """Whether an expression is the parameter of that name: by its last two parts."""
    if not isinstance(node, ast.Attribute):
        return False
    mine = ast.unparse(node).split(".")[-2:]
    return len(mine) == 2 and mine == label.split(".")[-2:]
