"""What an optimizer could not be given: parameters that were made after it was built, or that were
frozen then and trained later."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any, Literal, NamedTuple

from graphlab.observe.lineage.freezing.frozen import thawed_by
from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import Log, Spot, located
from graphlab.observe.optimizers.left_out.called_once import library_call
from graphlab.observe.tensors import Ref, is_module, requires_grad
from graphlab.source.effects.origins import stores_of_attribute
from graphlab.source.files import UserFiles, installed, user_frame
from graphlab.source.objects import attributes
from graphlab.trace.model import Location

# How many optimizers are looked around at when they are built, and for how many parameters it is
# asked what set them free.
BUILT, ASKED = 8, 4

Since = Literal["", "made", "thawed"]


class Began(NamedTuple):
    """The modules that were there when an optimizer was built, the parameters that they had by
    then, and those of them that were frozen."""

    modules: list[Ref]
    known: dict[int, Ref]
    frozen: dict[int, Ref]


class Late(NamedTuple):
    """A parameter that a backward led to: since what, by the line of an optimizer, and the line
    that made it or set it free."""

    since: dict[Spot, Since]
    at: Location | None


class LateParameters:
    def __init__(self) -> None:
        self._began: dict[Spot, Began] = {}
        # By a parameter's identity.
        self._late: dict[int, Late] = {}
        self._asked = 0

    def built(self, spot: Spot | None, names: Names, frame: FrameType | None = None) -> None:
        """An optimizer was built at `spot`, where modules and parameters have these names, by what
        runs in `frame`."""
        if spot is None or spot in self._began or len(self._began) >= BUILT:
            return
        modules = [*names.held_modules(), *_building(frame)]
        mine = parameters_in(*modules)
        self._began[spot] = Began(
            [Ref(each) for each in modules],
            {id(each): Ref(each) for each in mine},
            {id(each): Ref(each) for each in mine if not requires_grad(each)},
        )

    def reached(
        self, leaf: Any, name: str, names: Names, frame: FrameType, files: UserFiles, log: Log
    ) -> None:
        """A backward leads to a parameter for the first time."""
        self._late.pop(id(leaf), None)
        since: dict[Spot, Since] = {}
        for spot, began in self._began.items():
            if _has(began.frozen, leaf):
                since[spot] = "thawed"
            elif not _has(began.known, leaf) and _holds(began, leaf):
                since[spot] = "made"
        if not since:
            return
        at = None
        if "made" in since.values():
            at = _made(name, names, files)
        elif self._asked < ASKED:
            self._asked += 1
            at = _thawed(leaf, next(iter(since)), user_frame(frame, files), files, log)
        if at is not None or "made" not in since.values():
            self._late[id(leaf)] = Late(since, at)

    def since(self, key: int, built: Spot | None) -> tuple[Since, Location | None]:
        """Why the optimizer that was built at `built` has not got a parameter, by its identity, and
        the line that says so."""
        late = self._late.get(key)
        if late is None:
            return "", None
        told: set[Since] = {
            late.since.get(each, "") for each in ([built] if built else self._began)
        }
        return (told.pop(), late.at) if len(told) == 1 else ("", None)


def _building(frame: FrameType | None) -> Iterator[Any]:
    """The modules of a library that are being built, as they build their optimizer: the user has no
    name for them yet."""
    while frame is not None and installed(frame.f_code.co_filename):
        module = frame.f_locals.get("self")
        if is_module(module):
            yield module
        frame = frame.f_back


def _holds(began: Began, leaf: Any) -> bool:
    """Whether a module that was there by then has it by now."""
    holders = [module for ref in began.modules if (module := ref()) is not None]
    return any(leaf is each for each in parameters_in(*holders))


def _thawed(
    leaf: Any, spot: Spot, user: FrameType | None, files: UserFiles, log: Log
) -> Location | None:
    cut = thawed_by(leaf, user, files, log)
    built = located(spot)
    if cut is None and built is not None:
        cut = library_call(user, files, leaf, built)
    return cut.location() if cut is not None else None


def _made(name: str, names: Names, files: UserFiles) -> Location | None:
    """The one line, outside of a constructor, that stores the parameter `name` or a module that it
    is in as an attribute of a module of the user's."""
    holder = name
    by_name = {names.modules[id(module)]: module for module in names.held_modules()}
    while "." in holder:
        holder, _, attribute = holder.rpartition(".")
        module = by_name.get(holder)
        if module is None or attribute not in _entries(module):
            continue
        found = [
            each
            for each in stores_of_attribute(module, attribute, files)
            if not isinstance(each.value, ast.Constant)
        ]
        if any(each.function.endswith("__init__") for each in found):
            return None
        if found:
            return found[0].at if len(found) == 1 else None
    return None


def _entries(module: Any) -> set[str]:
    own = attributes(module)
    return {str(key) for which in ("_modules", "_parameters") for key in own.get(which) or ()}


def _has(known: dict[int, Ref], leaf: Any) -> bool:
    ref = known.get(id(leaf))
    return ref is not None and ref() is leaf
