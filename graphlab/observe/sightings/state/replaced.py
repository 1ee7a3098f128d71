"""Finds the line at which the parameters that an optimizer holds were replaced in their module."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

from graphlab.observe.names import WRAPPERS, Names, parameters_in
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, grad_of, is_module
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.evaluate import in_frame
from graphlab.source.files import user_frames
from graphlab.source.objects import attributes, item
from graphlab.source.places import locate
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import Replaced

LOAD = "load_state_dict(assign=True)"


class Replacements:
    """By load_state_dict(assign=True), which is seen, or by an assignment, which the source
    tells where only one can have done it."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # The parameters that a module has had before something is loaded into it.
        self._before: list[Ref] = []
        self._found: list[Replaced] = []
        # The outermost modules when the optimizers were built, by name.
        self._roots: dict[str, Ref] = {}
        self._searched: set[int] = set()

    def loading(self, module: Any, spot: Spot | None, assign: bool, after: bool) -> None:
        """Values are loaded into a module, and were if it is `after`."""
        if not assign or spot is None:
            return
        if not after:
            self._before = [Ref(each) for each in parameters_in(module)]
            return
        now = {id(each) for each in parameters_in(module)}
        held = self._watched.ledger.registry.places()
        gone: dict[int, list[int]] = {}
        for ref in self._before:
            parameter = ref()
            if parameter is not None and id(parameter) not in now:
                for at in held.get(id(parameter), ()):
                    place = self._watched.ledger.registry.place_of(parameter, None)
                    gone.setdefault(at, []).append(place)
        self._before = []
        for at, places in gone.items():
            self._searched.add(at)
            self._found.append(Replaced(locate(*spot), LOAD, at, tuple(dict.fromkeys(places))))

    def built(self, names: Names) -> None:
        """An optimizer was built, and modules have these names."""
        for module in names.held_modules():
            self._roots.setdefault(names.modules[id(module)], Ref(module))

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        self._search(frame)

    def _search(self, frame: FrameType | None) -> None:
        for state in self._watched.ledger.registry.alive:
            if not state.strangers or state.at in self._searched:
                continue
            self._searched.add(state.at)
            built = locate(*state.spot) if state.spot is not None else None
            where = loaded_files(self._watched.files, frame)
            found: dict[tuple[str, int], Store] = {}
            for place in state.strangers:
                name = self._watched.table.tensors[place].name or ""
                for each in replacing(name, self._lost_from(name), built, where):
                    found[each.file, each.node.lineno] = each
            if not any(self._watched.table.tensors[place].name for place in state.strangers):
                for each in self._put_in(built, where, frame):
                    found[each.file, each.node.lineno] = each
            stores = sorted(found.values(), key=lambda each: each.node.lineno)
            # A forward that makes several anew does so in each call.
            made_in = {(each.file, each.function) for each in stores}
            one = len(made_in) == 1
            anew = one and stores[0].function.endswith(".forward")
            # One function that replaces several parts; else one of two branches may have run.
            several = one and len({ast.unparse(each.target) for each in stores}) == len(stores)
            if len(stores) == 1 or anew or several:
                store = stores[0] if anew else stores[-1]
                self._found.append(Replaced(store.at, store.at.code, state.at, state.strangers))

    def _put_in(
        self, built: Location | None, where: list[str], frame: FrameType | None
    ) -> Iterator[Store]:
        """The statements below the optimizer's that put a module somewhere which no optimizer
        holds and which is trained: where a library built both the modules and the optimizer, what
        was replaced never had a name in the program."""
        held = self._watched.ledger.registry.places()
        frames = [*user_frames(frame, self._watched.files)]
        for file in where if built is not None else ():
            for each in stores(file):
                if each.adds or not isinstance(each.target, ast.Attribute):
                    continue
                if built is None or file != built.file or each.node.lineno <= built.line:
                    continue
                for outer in frames:
                    if outer.f_code.co_filename != file or _function(outer) != each.function:
                        continue
                    module = in_frame(each.target, outer)
                    own = parameters_in(module) if is_module(module) else []
                    trained = any(grad_of(p) is not None for p in own)
                    if trained and not any(id(p) in held for p in own):
                        yield each

    def _lost_from(self, name: str) -> int:
        """How many parts at the beginning of a parameter's name stand for modules that live."""
        parts = name.split(".")
        for count in range(len(parts) - 1, 0, -1):
            known = self._roots.get(".".join(parts[:count]))
            if known is not None and known() is not None and self._in_place(parts[:count]):
                return count
        return 0

    def _in_place(self, parts: list[str]) -> bool:
        """Whether each module on the way is where it was: one that was replaced may live on for a
        while."""
        for count in range(1, len(parts)):
            outer, inner = (self._roots.get(".".join(parts[:to])) for to in (count, count + 1))
            holder = outer() if outer is not None else None
            if holder is not None and inner is not None:
                now = item(attributes(holder).get("_modules"), parts[count])
                if is_module(now) and now is not inner():
                    return False
        return True

    def found(self) -> Iterable[Replaced]:
        # A step may have been looked over that no inspected backward followed.
        self._search(None)
        return self._found


def _function(frame: FrameType) -> str:
    """As `Store` calls it: "" for a module's own code."""
    code = frame.f_code
    name = getattr(code, "co_qualname", code.co_name).replace("<locals>.", "")
    return "" if name == "<module>" else name


def replacing(name: str, kept: int, built: Location | None, where: list[str]) -> list[Store]:
    """The statements that may have put another module, or parameter, in the place of the one that
    was called `name` when the optimizer was `built`: below the `kept` first parts of the name."""
    parts = _chain(name)[max(kept - 1, 0) :]
    function = built.function.replace("<locals>.", "") if built is not None else ""
    function = "" if function == "<module>" else function
    found = []
    for file in where:
        for each in stores(file):
            if each.adds or each.value is None or isinstance(each.value, ast.Constant):
                continue
            here = built is not None and file == built.file and each.function == function
            if here and built is not None and each.node.lineno <= built.line:
                continue
            if each.function.rsplit(".", 1)[-1] == "__init__" and not here:
                # A module's own constructor, or one that ran before.
                continue
            if _stores_into(each, parts, not kept and (here or not each.function)):
                found.append(each)
    return found


def _stores_into(store: Store, parts: list[str], near: bool) -> bool:
    if isinstance(store.target, ast.Name):
        return near and bool(parts) and store.target.id == parts[0]
    if isinstance(store.target, ast.Subscript):
        # One of a Sequential or a list: ``net[2] = …``.
        holder = _holder(store.target.value)
        return any(
            holder == before and part.isdigit() and not _is_word(store.target.slice)
            for before, part in pairwise(parts)
        )
    if not isinstance(store.target, ast.Attribute):
        return False
    holder = _holder(store.target.value)
    meant = (
        {holder, *_behind(store, holder)} if isinstance(store.target.value, ast.Name) else {holder}
    )
    return any(
        store.name == part and not meant.isdisjoint((before, "self"))
        for before, part in pairwise(parts)
    )


def _holder(node: ast.expr) -> str:
    """The last part of what holds something, past a library's wrapper: "model" of
    ``model._module``."""
    while isinstance(node, ast.Attribute) and node.attr in WRAPPERS:
        node = node.value
    return last_part(node)


def _behind(store: Store, variable: str) -> Iterator[str]:
    """The last parts of what a variable is given in the function of a store: "model" of ``m =
    self.model``."""
    for each in stores(store.file):
        same = each.function == store.function and each.node.lineno < store.node.lineno
        named = isinstance(each.target, ast.Name) and each.target.id == variable
        if same and named and each.value is not None:
            yield last_part(each.value)


def _chain(name: str) -> list[str]:
    """``["model", "fc", "weight"]`` of "model.fc.weight"; items of lists are left out."""
    try:
        node: ast.expr = ast.parse(name, mode="eval").body
    except SyntaxError:
        # A number among the parts: ``net.0.weight``.
        return name.split(".")
    parts: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        node = node.value
    return [last_part(node), *reversed(parts)]


def _is_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is str
