"""Finds containers in which one module stands several times."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.origins import loaded_files, stores_behind, stores_of_attribute
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, class_name, is_a, items
from graphlab.source.places import parse
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import Repeated

# So many of the inspected backwards look for containers: models are built before them.
LOOKS = 2


class RepeatedModules:
    """`found` has what stands several times, by the identity of the container."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._left = LOOKS
        self._found: dict[int, Repeated] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        kinds = (torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
        names: Names | None = None
        visited: set[int] = set()
        for ref in list(self._watched.log.modules.values()):
            module = ref()
            for _, each in submodules(module) if module is not None else ():
                if id(each) in visited or id(each) in self._found:
                    continue
                visited.add(id(each))
                if not is_a(each, kinds):
                    continue
                inner = [child for _, child in items(attributes(each).get("_modules"))]
                most = _most_common(inner)
                if most is None:
                    continue
                names = names or Names(self._watched.files).gather(frame)
                self._found[id(each)] = self._sighting(each, *most, names, frame, module)

    def _sighting(
        self, container: Any, repeated: Any, times: int, names: Names, frame: FrameType, root: Any
    ) -> Repeated:
        name = names.modules.get(id(container), class_name(container))
        at = _line(name, container, root, frame, self._watched.files)
        first = parameters_in(repeated)[0]
        tensor = self._watched.ledger.registry.place_of(first, names)
        return Repeated(at, name, class_name(repeated), times, tensor)

    def found(self) -> Iterable[Repeated]:
        return self._found.values()


def _most_common(inner: list[Any]) -> tuple[Any, int] | None:
    counts = Counter(id(each) for each in inner)
    for each in inner:
        if counts[id(each)] > 1 and parameters_in(each):
            return each, counts[id(each)]
    return None


def _line(
    name: str, container: Any, root: Any, frame: FrameType, files: UserFiles
) -> Location | None:
    """The multiplication, or the list with a repeated variable, that the container was built of."""
    last = name.rsplit(".", 1)[-1]
    found: list[Store] = []
    for _, each in submodules(root):
        inner = attributes(each).get("_modules")
        for key, child in items(inner):
            if child is container:
                found += stores_of_attribute(each, str(key), files)
    found = found or stores_behind(name, frame, files)
    if not found:
        where = loaded_files(files, frame)
        found = [each for file in where for each in stores(file) if each.name == last]
    lines = [
        line
        for each in found
        if (line := each.at if _added_again(each) else _repeating(each, each.value, 0)) is not None
    ]
    return lines[0] if len(set(lines)) == 1 else None


def _repeating(store: Store, value: ast.expr | None, depth: int) -> Location | None:
    """Where, in what a statement stores, one variable is repeated."""
    if value is None or depth > 4:
        return None
    for node in ast.walk(value):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            sides = (node.left, node.right)
            if any(isinstance(each, ast.List | ast.Tuple) for each in sides):
                return store.at_node(node)
        if isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp):
            made = node.value if isinstance(node, ast.DictComp) else node.elt
            bound = {
                each.id
                for generator in node.generators
                for each in ast.walk(generator.target)
                if isinstance(each, ast.Name)
            }
            inner = made.elts[-1] if isinstance(made, ast.Tuple) else made
            if isinstance(inner, ast.Name | ast.Attribute) and last_part(inner) not in bound:
                return store.at_node(node)
        if isinstance(node, ast.Call | ast.List | ast.Tuple | ast.Dict):
            several = _entries(node)
            counts = Counter(
                ast.unparse(each) for each in several if isinstance(each, ast.Name | ast.Attribute)
            )
            twice = [each for each in several if counts[ast.unparse(each)] > 1]
            if twice:
                return store.at_node(twice[-1])
    return _through(store, value, depth)


def _entries(node: ast.Call | ast.List | ast.Tuple | ast.Dict) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        return node.args
    return node.values if isinstance(node, ast.Dict) else node.elts


def _through(store: Store, value: ast.expr, depth: int) -> Location | None:
    """The same, in what the functions that are called return, and in the variables of the function
    that the value is made of."""
    for node in ast.walk(value):
        for each in _returned(store, node):
            found = _repeating(each, each.value, depth + 1)
            if found is not None:
                return found
        if not isinstance(node, ast.Name):
            continue
        for each in stores(store.file):
            if each.function != store.function or each.node is store.node or each.name != node.id:
                continue
            if _added_again(each):
                return each.at
            found = _repeating(each, each.value, depth + 1)
            if found is not None:
                return found
    return None


def _returned(store: Store, node: ast.AST) -> Iterator[Store]:
    """What a function of the same file returns, if `node` calls it by name, as if it was stored."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return
    tree = parse(store.file)
    for function in tree.body if tree is not None else ():
        if isinstance(function, ast.FunctionDef) and function.name == node.func.id:
            for each in ast.walk(function):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield Store(store.file, function.name, "", each, node.func, each.value)


def _added_again(store: Store) -> bool:
    """Whether a loop adds one variable to a container that was made before the loop."""
    if not (store.adds and store.loops and isinstance(store.value, ast.Name | ast.Attribute)):
        return False
    loop = store.loops[-1]
    return not any(
        each.function == store.function and each.name == last_part(store.value or each.target)
        for each in stores(store.file)
        if loop in each.loops or each.node is loop
    )
