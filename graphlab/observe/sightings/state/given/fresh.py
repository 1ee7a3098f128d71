"""Notices layers with the values they were drawn with that a library froze with all it had loaded.

``get_peft_model()`` freezes the whole network and trains what it adds to it. A head that no
checkpoint had stays as it was drawn, unless ``modules_to_save`` or the task type says otherwise.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import fresh_slots
from graphlab.observe.lineage.values import calls_in, files_of
from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import (
    Ref,
    is_module,
    is_tensor,
    requires_grad,
    storage_key,
    version_of,
)
from graphlab.source.files import user_frames
from graphlab.source.objects import attribute, attributes, class_module, items
from graphlab.source.places import parse, place
from graphlab.source.statements import Scope
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import FreshFrozen

# At how many inspected backwards it must be so.
ENOUGH = 2
LIBRARY = "peft"
# Transformers' own mark of a parameter that a checkpoint had. Private: without it nothing is told.
_LOADED = "_is_hf_initialized"
_CONFIGURES = {"target_modules", "task_type", "peft_type"}


class FreshLayers:
    """Left alone are a network nothing of which was loaded, what was written to once more since it
    was made, and programs that set `requires_grad` themselves."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._looks = Looks()
        self._seen: Counter[int] = Counter()
        self._layers: dict[int, tuple[Ref, FreshFrozen]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or LIBRARY not in sys.modules or not self._looks.due(record, nodes):
            return
        names = Names(self._watched.files).gather(frame)
        layers = {
            id(layer): (path, layer)
            for wrapper in names.held_modules()
            if _wraps(wrapper)
            for path, layer in _fresh(wrapper)
        }
        if not layers:
            return
        used = {storage_key(data) for node in nodes for _, data in fresh_slots(node) or ()}
        sources = files_of([*user_frames(frame, self._watched.files)], self._watched.files)
        trees = {file: tree for file in sources if (tree := parse(file)) is not None}
        if any(_says(node) for tree in trees.values() for node in ast.walk(tree)):
            return
        for key, (path, layer) in layers.items():
            mine = parameters_in(layer)
            if used.isdisjoint(map(storage_key, mine)):
                continue
            self._seen[key] += 1
            places = tuple(self._watched.table.tensor_index(each, names) for each in mine)
            at, call = _configured(trees)
            self._layers[key] = Ref(layer), FreshFrozen(at, call, path, places)

    def found(self) -> Iterator[FreshFrozen]:
        for key, (ref, each) in self._layers.items():
            layer = ref()
            mine = parameters_in(layer) if layer is not None else []
            if self._seen[key] >= ENOUGH and not any(map(requires_grad, mine)):
                yield each


def _of_library(module: Any) -> bool:
    return class_module(module).partition(".")[0] == LIBRARY


def _wraps(module: Any) -> bool:
    """Whether it holds a whole network, and is no layer of an adapter's."""
    return _of_library(module) and "peft_config" in attributes(module)


def _fresh(wrapper: Any) -> Iterator[tuple[str, Any]]:
    """The frozen layers of what is wrapped that no checkpoint had, by their paths there."""
    if not any(attribute(each, _LOADED) is True for each in parameters_in(wrapper)):
        return
    stack = [("", wrapper)]
    while stack:
        path, module = stack.pop()
        if _of_library(module) and not _wraps(module):
            continue
        mine = [p for _, p in items(attributes(module).get("_parameters")) if is_tensor(p)]
        if mine and all(map(_as_drawn, mine)):
            yield path, module
        for key, child in items(attributes(module).get("_modules")):
            if is_module(child):
                inner = f"{path}.{key}" if path else str(key)
                stack.append(("" if _wraps(module) else inner, child))


def _as_drawn(parameter: Any) -> bool:
    """Frozen, in no checkpoint, and written to once: when it was made."""
    loaded = attribute(parameter, _LOADED) is True
    return not loaded and not requires_grad(parameter) and version_of(parameter) == 1


def _says(node: ast.AST) -> bool:
    """Whether it freezes or frees: ``p.requires_grad = False`` or ``p.requires_grad_()``."""
    if not isinstance(node, ast.Attribute):
        return False
    stored = isinstance(node.ctx, ast.Store)
    return node.attr == "requires_grad_" or (node.attr == "requires_grad" and stored)


def _configured(trees: dict[str, ast.Module]) -> tuple[Location | None, str]:
    """The one call that says what the library is to train, ``LoraConfig(target_modules=…)``."""
    found = []
    for file, tree in trees.items():
        for scope, call in calls_in(tree.body, Scope(file)):
            name = ast.unparse(call.func).rpartition(".")[2]
            if name.endswith("Config") and _CONFIGURES & {each.arg for each in call.keywords}:
                found.append((place(call, file, scope.path or "<module>"), f"{name}()"))
    return found[0] if len(found) == 1 else (None, "")
