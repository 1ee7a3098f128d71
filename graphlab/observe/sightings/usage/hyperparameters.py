"""Notices hyperparameters that are set where no optimizer reads them: on the optimizer itself, or
in a parameter group under another name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from functools import lru_cache
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import last_part, stores
from graphlab.source.objects import LOST, attributes, class_module, exactly, item, items, static
from graphlab.source.places import parse, place
from graphlab.trace.model import Location
from graphlab.trace.sightings import SettingUnread

# At how many backwards an attribute must have had no effect, and how alike a misspelt key is.
ENOUGH, ALIKE = 2, 0.8
# What papers, other frameworks and older versions call them.
_ALSO = {
    "learningrate": "lr", "learnrate": "lr", "wd": "weight_decay", "epsilon": "eps",
    "weightdecayrate": "weight_decay",
}  # fmt: skip
# Names under which a program keeps its own settings, from which a group is made.
_OWN = ("conf", "cfg", "arg", "hp", "hyper", "option", "setting")


@dataclass(slots=True)
class Seen:
    """An attribute of an optimizer. first: its first value, and whether the groups had it too.
    values, used: those that it had, and the groups. apart: how often the two were apart. read: it
    may be of use: something reads it, or the groups went along with it."""

    ref: Ref
    sighting: SettingUnread
    first: tuple[Any, bool]
    read: bool
    values: set[Any] = field(default_factory=set)
    used: set[Any] = field(default_factory=set)
    apart: int = 0


class Hyperparameters:
    """Looks at optimizers of torch's own: what another class reads is not known."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._attributes: dict[tuple[int, str], Seen] = {}
        # Those whose groups were looked at: what differs later, a scheduler may have changed.
        self._looked: dict[int, Ref] = {}
        self._keys: list[SettingUnread] = []

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        for state, optimizer in self._watched.ledger.registry.followed():
            if not class_module(optimizer).startswith("torch.optim."):
                continue
            own = attributes(optimizer)
            defaults = [key for key, _ in items(own.get("defaults")) if type(key) is str]
            groups = [each for _, each in items(own.get("param_groups"))]
            for name in defaults:
                if name in own and static(type(optimizer), name) is LOST:
                    self._attribute(optimizer, name, own[name], groups, state, frame)
            looked = self._looked.get(id(optimizer))
            if looked is None or looked() is not optimizer:
                self._looked[id(optimizer)] = Ref(optimizer)
                for group in groups:
                    self._group(group, tuple(defaults), state, frame)

    def _attribute(
        self, optimizer: Any, name: str, value: Any, groups: list[Any], state: Any, frame: FrameType
    ) -> None:
        used = [item(each, name) for each in groups]
        if not exactly(value, int, float) or not used or not all(_is_number(x) for x in used):
            return
        seen = self._attributes.get((id(optimizer), name))
        if seen is None or seen.ref() is not optimizer:
            where = loaded_files(self._watched.files, frame)
            last = (state.name or "").rsplit(".", 1)[-1]
            at = _assigned(name, last, where)
            sighting = SettingUnread(at, name, name, False, state.at, "", "", state.class_name)
            seen = self._attributes[id(optimizer), name] = Seen(
                Ref(optimizer), sighting, (value, value in used), _is_read(name, last, where)
            )
        seen.values.add(value)
        seen.used |= set(used)
        if value in used:
            seen.read = seen.read or value != seen.first[0]
            return
        seen.apart += 1
        seen.sighting = replace(seen.sighting, given=f"{value:g}", used=f"{used[0]:g}")

    def _group(self, group: Any, settings: tuple[str, ...], state: Any, frame: FrameType) -> None:
        for key, value in items(group):
            name = meant(key, settings) if type(key) is str and key not in settings else None
            used = item(group, name)
            if name is None or not _is_number(value) or not _is_number(used) or value == used:
                continue
            at, read = _written(str(key), name, value, loaded_files(self._watched.files, frame))
            told = SettingUnread(
                at, name, str(key), True, state.at, f"{value:g}", f"{used:g}", state.class_name
            )
            if not read and not any(each.key == key for each in self._keys):
                self._keys.append(told)

    def found(self) -> Iterator[SettingUnread]:
        for seen in self._attributes.values():
            # One that stays may be a note of what the groups had before a scheduler changed them.
            note = len(seen.values) == 1 and (seen.first[1] or len(seen.used) > 1)
            if seen.apart >= ENOUGH and not note and not seen.read:
                yield seen.sighting
        yield from self._keys


def _is_number(value: Any) -> bool:
    return exactly(value, int, float)


@lru_cache(maxsize=1024)
def meant(key: str, settings: tuple[str, ...]) -> str | None:
    """The setting that a key is another name of, or nearly the name."""
    bare = key.lower().replace("_", "").replace("-", "")
    known = _ALSO.get(bare)
    if known in settings:
        return known
    for each in settings:
        # Short names are like many others, and the max_momentum of a scheduler is no momentum.
        whole = len(each) <= 4 or each in key.lower() or key.lower() in each
        if not whole and SequenceMatcher(None, key.lower(), each).ratio() >= ALIKE:
            return each
    return None


def _assigned(name: str, last: str, where: list[str]) -> Location | None:
    """The one line that sets the attribute on what is called `last`, or else on an optimizer."""
    found = [
        each
        for file in where
        for each in stores(file)
        if each.name == name and isinstance(each.target, ast.Attribute)
    ]
    named = [each for each in found if last_part(each.target.value) == last]  # pyright: ignore
    alike = [each for each in found if "opt" in last_part(each.target.value)]  # pyright: ignore
    for group in (named, alike):
        if group:
            return group[0].at if len({each.at for each in group}) == 1 else None
    return None


def _is_read(name: str, last: str, where: list[str]) -> bool:
    for file in where:
        tree = parse(file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Attribute) and node.attr == name:
                holder = last_part(node.value)
                if isinstance(node.ctx, ast.Load) and (holder == last or "opt" in holder.lower()):
                    return True
    return False


def _written(key: str, setting: str, value: Any, where: list[str]) -> tuple[Location | None, bool]:
    """The line that writes the key into a dictionary, that with this value or else the first, and
    whether it is of use: one reads it from what may be a group, or it stands beside the setting."""
    at: Location | None = None
    found = False
    for file in where:
        tree = parse(file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Dict):
                if not any(_is_word(each, "params") for each in node.keys):
                    continue
                if any(_is_word(each, setting) for each in node.keys):
                    return at, True
                for name, given in zip(node.keys, node.values, strict=True):
                    if name is not None and _is_word(name, key):
                        this = isinstance(given, ast.Constant) and given.value == value
                        at = place(name, file) if at is None or (this and not found) else at
                        found = found or this
            elif isinstance(node, ast.Subscript) and _is_word(node.slice, key):
                if not isinstance(node.ctx, ast.Load):
                    at = at or place(node, file)
                elif not _is_own(node.value):
                    return at, True
            elif isinstance(node, ast.Call) and any(_is_word(each, key) for each in node.args):
                func = node.func
                if not (isinstance(func, ast.Attribute) and _is_own(func.value)):
                    return at, True
            elif isinstance(node, ast.Compare) and _is_word(node.left, key):
                return at, True
    return at, False


def _is_word(node: ast.AST | None, word: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == word


def _is_own(node: ast.AST) -> bool:
    """Whether something is the program's settings, by its name, and no parameter group."""
    text = ast.unparse(node).lower()
    return "group" not in text and any(each in text for each in _OWN)
