"""Watches for flags that should freeze and do not: on a module, or misspelt on a parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, requires_grad
from graphlab.source.effects.origins import loaded_files, stores_of_attribute
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attributes, static
from graphlab.source.places import parse
from graphlab.trace.module_sightings import NoFreeze

FLAG = "requires_grad"
# What other frameworks call it.
_FOREIGN = ("trainable",)
_ALIKE = 0.85


@lru_cache(maxsize=1024)
def _means_flag(name: str) -> bool:
    """Whether an attribute looks like a misspelt `requires_grad`."""
    if name in _FOREIGN:
        return True
    bare = name.lower().replace("_", "")
    return SequenceMatcher(None, bare, FLAG.replace("_", "")).ratio() >= _ALIKE


class Flags:
    """Found at inspected backwards: what has such a flag and is in the graph all the same."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # By the identity of what has the flag: (it, flag, its parameters, the sighting or None).
        self._seen: dict[tuple[int, str], tuple[Ref, set[int], NoFreeze]] = {}
        self._toggled: dict[tuple[int, str], Ref] = {}
        # Modules that were to be set free, with what is frozen in them still.
        self._thawed: dict[int, tuple[Ref, list[Ref], NoFreeze]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad:
            return
        self._look_for_thaws(frame)
        leaves = {id(leaf): leaf for node in nodes if (leaf := leaf_of(node)) is not None}
        flagged = [*self._on_modules(leaves), *self._on_leaves(leaves)]
        if not flagged:
            return
        registry = self._watched.ledger.registry
        held = registry.places()
        names: Names | None = None
        for holder, flag, reached in flagged:
            key = id(holder), flag
            owned = [p for p in reached if held.get(id(p))]
            known = self._seen.get(key)
            if not owned or key in self._toggled or (known is not None and known[0]() is holder):
                continue
            names = names or Names(self._watched.files).gather(frame)
            sighting = self._sighting(holder, flag, owned, held[id(owned[0])][-1], names, frame)
            if sighting is not None:
                self._seen[key] = Ref(holder), {*map(id, owned)}, sighting

    def _look_for_thaws(self, frame: FrameType) -> None:
        """Note the modules in use that have been given the flag as True, while all of their
        parameters are frozen."""
        files = self._watched.files
        for key, (_, frozen, _) in [*self._thawed.items()]:
            if any(p is not None and requires_grad(p) for p in (ref() for ref in frozen)):
                # Another line has set it free since.
                del self._thawed[key]
        for ref in list(self._watched.log.modules.values()):
            module = ref()
            for _, each in submodules(module) if module is not None else ():
                if (FLAG, True) not in _flags(each, True) or id(each) in self._thawed:
                    continue
                frozen = parameters_in(each)
                registry = self._watched.ledger.registry
                if not frozen or any(map(requires_grad, frozen)) or not registry.states:
                    continue
                names, where = Names(files).gather(frame), loaded_files(files, frame)
                name = names.modules.get(id(each), "")
                found = [
                    one
                    for file in where
                    for one in stores(file)
                    if one.name == FLAG and _is(one, True) and not _over_parameters(one)
                ]
                best = _nearest(found, name)
                if best is None or best.holder is None or _read(where, FLAG, best, True):
                    continue
                sighting = NoFreeze(
                    best.at,
                    FLAG,
                    ast.unparse(best.holder),
                    True,
                    tuple(registry.place_of(p, names) for p in frozen),
                    registry.places().get(id(frozen[0]), [0])[-1],
                    thaws=True,
                )
                self._thawed[id(each)] = Ref(each), [*map(Ref, frozen)], sighting

    def _on_modules(self, leaves: dict[int, Any]) -> Iterable[tuple[Any, str, list[Any]]]:
        visited: set[int] = set()
        for ref in list(self._watched.log.modules.values()):
            module = ref()
            if module is None or id(module) in visited:
                continue
            for _, each in submodules(module):
                if id(each) in visited:
                    continue
                visited.add(id(each))
                for flag, value in _flags(each, True):
                    reached = [p for p in parameters_in(each) if id(p) in leaves]
                    if self._told(each, flag, value) and reached:
                        yield each, flag, reached

    def _on_leaves(self, leaves: dict[int, Any]) -> Iterable[tuple[Any, str, list[Any]]]:
        for leaf in leaves.values():
            for flag, value in _flags(leaf, False):
                if self._told(leaf, flag, value) and requires_grad(leaf):
                    yield leaf, flag, [leaf]

    def _told(self, holder: Any, flag: str, value: bool) -> bool:
        """Whether it is off. A flag that is on in some backwards is switched on purpose, though it
        has no effect."""
        if value:
            self._toggled[id(holder), flag] = Ref(holder)
        return not value

    def _sighting(
        self,
        holder: Any,
        flag: str,
        owned: list[Any],
        optimizer: int,
        names: Names,
        frame: FrameType,
    ) -> NoFreeze | None:
        files = self._watched.files
        where = loaded_files(files, frame)
        on_module = len(owned) != 1 or owned[0] is not holder
        known = names.tensors.get(id(holder))
        name = names.modules.get(id(holder), "") if on_module else known.name if known else ""
        if _own_attribute(holder, flag, files):
            return None
        found = [
            each
            for file in where
            for each in stores(file)
            if each.name == flag and _is(each, False) and _over_parameters(each) != on_module
        ]
        best = _nearest(found, name)
        if _read(where, flag, best, on_module):
            return None
        places = self._watched.ledger.registry.place_of
        return NoFreeze(
            best.at if best is not None else None,
            flag,
            ast.unparse(best.holder) if best is not None and best.holder is not None else name,
            on_module,
            tuple(places(each, names) for each in owned),
            optimizer,
        )

    def found(self) -> Iterable[NoFreeze]:
        """One for each assignment, those on modules first."""
        states = self._watched.ledger.registry.states
        told: dict[Any, NoFreeze] = {}
        for key, (_, _, each) in self._seen.items():
            state = states[each.optimizer]
            trained = tuple(at for at in each.tensors if at in state.touched)
            if key in self._toggled or not trained:
                continue
            line = (each.at, each.flag) if each.at is not None else (each.holder, each.flag)
            before = told.get(line)
            tensors = (*(before.tensors if before else ()), *trained)
            told[line] = NoFreeze(
                each.at, each.flag, each.holder, each.on_module, tuple(dict.fromkeys(tensors)),
                each.optimizer,
            )  # fmt: skip
        for _, frozen, each in self._thawed.values():
            if not any(p is not None and requires_grad(p) for p in (ref() for ref in frozen)):
                told[(each.at, each.flag)] = each
        return sorted(told.values(), key=lambda each: not each.on_module)


def _flags(holder: Any, module: bool) -> list[tuple[str, bool]]:
    own = attributes(holder)
    return [
        (key, value)
        for key, value in list(own.items())
        if type(value) is bool
        and type(key) is str
        and ((key == FLAG and module) or (key != FLAG and key[0] != "_" and _means_flag(key)))
        and static(type(holder), key) is LOST
    ]


def _own_attribute(holder: Any, flag: str, files: UserFiles) -> bool:
    """Whether its class has such an attribute of its own, set from an argument or the like."""
    own = stores_of_attribute(holder, flag, files)
    return any(not _is(each, False) for each in own)


def _is(store: Store, value: bool) -> bool:
    return isinstance(store.value, ast.Constant) and store.value.value is value


def _over_parameters(store: Store) -> bool:
    """Whether it is set on what a loop over parameters() gives, or on a thing called a weight."""
    name = last_part(store.holder) if store.holder is not None else ""
    if name in ("weight", "bias"):
        return True
    for loop in reversed(store.loops):
        if isinstance(loop, ast.While) or name not in _bound(loop.target):
            continue
        return "parameters(" in ast.unparse(loop.iter)
    return False


def _bound(target: ast.expr) -> set[str]:
    return {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}


def _nearest(found: list[Store], name: str) -> Store | None:
    """The assignment that set the flag of what is called `name`; None where that is not sure."""
    last = name.rsplit(".", 1)[-1]
    named = [each for each in found if each.holder is not None and last_part(each.holder) == last]
    loose = [each for each in found if isinstance(each.holder, ast.Name | ast.Call | ast.Subscript)]
    for group in (named, loose, found):
        if len({(each.file, each.node.lineno) for each in group}) == 1:
            return group[0]
        if group:
            return None
    return None


def _read(where: list[str], flag: str, store: Store | None, on_module: bool) -> bool:
    """Whether the program itself reads the flag somewhere, so that it is one of its own."""
    for file in where:
        tree = parse(file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Call) and last_part(node.func) in ("getattr", "hasattr"):
                given = [each.value for each in node.args if isinstance(each, ast.Constant)]
                if flag in given:
                    return True
            if not (isinstance(node, ast.Attribute) and node.attr == flag):
                continue
            if not isinstance(node.ctx, ast.Load):
                continue
            if flag != FLAG:
                return True
            holder = store.holder if store is not None else None
            same = holder is not None and ast.unparse(node.value) == ast.unparse(holder)
            if on_module and (same or ast.unparse(node.value) == "self"):
                return True
    return False
