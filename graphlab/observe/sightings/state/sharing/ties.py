"""Watches parameters that have two names: whether they are still one when they are trained."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names, submodules
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    Unnoticed,
    dtype_of,
    is_module,
    is_tensor,
    shape_of,
)
from graphlab.source.effects.origins import classes_of, loaded_files
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import attributes, item, items
from graphlab.source.places import locate, nodes_of, parse
from graphlab.trace.module_sightings import TieBroken

# So many of the inspected backwards look for ties; constructors of optimizers do as well, and so
# many times a parameter that is registered under a second name.
LOOKS, SECOND = 2, 16


@dataclass(frozen=True, slots=True)
class Slot:
    """A parameter's place below a module that outlives it."""

    root: Ref
    name: str
    path: tuple[str, ...]

    def now(self) -> Any:
        """The parameter that is there; None where there is none any more."""
        module = self.root()
        for part in self.path[:-1]:
            module = item(attributes(module).get("_modules"), part) if module is not None else None
            if not is_module(module):
                return None
        if module is None:
            return None
        found = item(attributes(module).get("_parameters"), self.path[-1])
        return found if is_tensor(found) else None

    @property
    def label(self) -> str:
        return ".".join((self.name, *self.path))


@dataclass(slots=True)
class Tie:
    """Slots that held one parameter. built_in: the lines that were running, by (file, function),
    where a constructor tied them, and nothing else has seen them since."""

    slots: tuple[Slot, ...]
    parameter: Ref
    built_in: dict[tuple[str, str], int] = field(default_factory=dict)
    broken_at: Spot | None = None
    told: bool = False

    def broken(self) -> list[tuple[Slot, Any]]:
        """The slots and their parameters, if these are several now."""
        held = [(slot, now) for slot in self.slots if (now := slot.now()) is not None]
        return held if len({id(now) for _, now in held}) > 1 else []


@dataclass(slots=True)
class Ties:
    """`found` has the ties that were broken, each with both parameters in use."""

    watched: Watched
    ties: dict[tuple[int, ...], Tie] = field(default_factory=dict)
    told: list[TieBroken] = field(default_factory=list)
    backwards: int = LOOKS
    seconds: int = SECOND
    # Where each parameter was registered first: (itself, its module, its name there).
    first: dict[int, tuple[Ref, Ref, str]] = field(default_factory=dict)

    def look(self, names: Names) -> None:
        """Note the ties of all modules that have names."""
        self.note([(names.modules[id(each)], each) for each in names.held_modules()])

    def registered(self, frame: FrameType, event: str, arg: Any) -> None:
        """A module has been given a parameter: perhaps one that another has as well."""
        values = frame.f_locals
        module, parameter = values.get("self"), values.get("param")
        if event != "return" or parameter is None or self.seconds <= 0:
            return
        with Unnoticed():
            known = self.first.get(id(parameter))
            if known is None or known[0]() is not parameter:
                self.first[id(parameter)] = (Ref(parameter), Ref(module), str(values.get("name")))
                return
            held = item(attributes(known[1]()).get("_parameters"), known[2])
            user = user_frame(frame.f_back, self.watched.files)
            if held is not parameter or (known[1]() is module) or user is None:
                return
            self.seconds -= 1
            builder = _builder(user)
            if builder is None:
                return
            # The outermost constructor that is running: everything that is tied hangs on it.
            self.note([("self", builder[0])], builder[1])

    def note(
        self,
        modules: list[tuple[str, Any]],
        built_in: dict[tuple[str, str], int] | None = None,
    ) -> None:
        """Note the ties below these modules, by name."""
        inner = {id(child) for _, each in modules for path, child in submodules(each) if path}
        roots = [(name, each) for name, each in modules if id(each) not in inner]
        held: dict[int, list[tuple[Slot, Any]]] = {}
        for name, root in roots:
            ref = Ref(root)
            for path, each in submodules(root):
                for key, parameter in items(attributes(each).get("_parameters")):
                    if is_tensor(parameter):
                        parts = (*filter(None, path.split(".")), str(key))
                        slot = Slot(ref, name, parts)
                        held.setdefault(id(parameter), []).append((slot, parameter))
        for several in held.values():
            if len(several) > 1:
                slots = tuple(slot for slot, _ in several)
                key = tuple(sorted(hash((id(slot.root()), slot.path)) for slot in slots))
                known = self.ties.get(key)
                if known is None or not known.broken():
                    self.ties[key] = Tie(slots, Ref(several[0][1]), built_in or {})

    def loading(self, module: Any, spot: Spot | None, assign: bool, after: bool) -> None:
        """Values are loaded into a module, and were if it is `after`."""
        if not assign:
            return
        if not after:
            self.note([("", module)])
            return
        for tie in self.ties.values():
            if tie.broken_at is None and tie.broken():
                tie.broken_at = spot

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad:
            return
        broken = [
            (tie, held) for tie in self.ties.values() if not tie.told and (held := tie.broken())
        ]
        if broken:
            leaves = {id(leaf) for node in nodes if (leaf := leaf_of(node)) is not None}
            names = Names(self.watched.files).gather(frame)
            for tie, held in broken:
                used = [(slot, now) for slot, now in held if id(now) in leaves]
                if len({id(now) for _, now in used}) > 1:
                    tie.told = True
                    self._tell(tie, used, names, frame)
        if self.backwards > 0:
            self.backwards -= 1
            self.look(Names(self.watched.files).gather(frame))

    def _tell(self, tie: Tie, used: list[tuple[Slot, Any]], names: Names, frame: FrameType) -> None:
        at, by = None, ""
        if tie.broken_at is not None:
            at, by = locate(*tie.broken_at), "load_state_dict(assign=True)"
        else:
            changed = [(s, now) for s, now in used if now is not tie.parameter()] or used
            found = [
                store
                for slot, _ in changed
                for store in breaking(slot, self.watched.files, frame, tie.built_in)
            ]
            lines = {(each.file, each.node.lineno): each for each in found}
            if tie.built_in and (len(lines) != 1 or len({_kind(now) for _, now in used}) > 1):
                # Whoever builds a model of one with ties may give it another head on purpose: only
                # a constructor that undoes what it did itself is known to be wrong.
                return
            if any(_mentions_another(each, tie) for each in lines.values()):
                return
            if len(lines) == 1:
                store = next(iter(lines.values()))
                at, by = store.at, store.at.code
        labels = []
        for slot, now in used:
            named = names.tensors.get(id(now))
            labels.append(named.name if named is not None else slot.label.lstrip("."))
        place = self.watched.ledger.registry.place_of(used[0][1], names)
        self.told.append(TieBroken(at, by, tuple(labels), place))

    def found(self) -> Iterable[TieBroken]:
        return self.told


def _builder(frame: FrameType) -> tuple[Any, dict[tuple[str, str], int]] | None:
    """The module whose constructor is the outermost that runs, and the lines at which this and what
    it called are, by (file, function)."""
    found: Any = None
    lines: dict[tuple[str, str], int] = {}
    running: dict[tuple[str, str], int] = {}
    at: FrameType | None = frame
    while at is not None:
        code = at.f_code
        running.setdefault((code.co_filename, code.co_qualname), at.f_lineno)
        holder = at.f_locals.get("self") if code.co_name == "__init__" else None
        if is_module(holder):
            found, lines = holder, dict(running)
        at = at.f_back
    return (found, lines) if found is not None else None


def _kind(parameter: Any) -> tuple[object, ...]:
    return (*shape_of(parameter), dtype_of(parameter))


def breaking(
    slot: Slot,
    files: UserFiles,
    frame: FrameType | None,
    built_in: dict[tuple[str, str], int] | None = None,
) -> Iterator[Store]:
    """The statements that may have put another parameter, or another module, into a slot. Those of
    a tie that was `built_in` a constructor stand below it there."""
    where = loaded_files(files, frame)
    chain = (slot.name.rsplit(".", 1)[-1], *slot.path)
    module = root = slot.root()
    constructors = (
        {kind for _, each in submodules(root) for kind in classes_of(each, files)}
        if root is not None
        else set()
    )
    for at, part in enumerate(slot.path, 1):
        kinds = {*classes_of(module, files)} if module is not None else set()
        for file in where:
            for each in stores(file):
                if each.name != part or not isinstance(each.target, ast.Attribute) or each.adds:
                    continue
                holder = last_part(each.target.value)
                own = (file, each.owner) in kinds and isinstance(each.holder, ast.Name)
                built = each.function.endswith("__init__") and (file, each.owner) in constructors
                if built_in:
                    inner = holder == chain[at - 1] and (file, each.owner) in constructors
                    if (own or inner) and _comes_after(each, built_in):
                        yield each
                # What a constructor builds comes before every tie that was seen.
                elif not built and (own or holder == chain[at - 1]):
                    yield each
        module = item(attributes(module).get("_modules"), part) if module is not None else None


def _comes_after(store: Store, built_in: dict[tuple[str, str], int]) -> bool:
    """Whether a statement runs after the tie: below it in a function that was running, or in a
    method that such a function calls below it."""
    owner, _, method = store.function.rpartition(".")
    line = built_in.get((store.file, store.function))
    if line is not None:
        return line < store.node.lineno
    for (file, function), line in built_in.items():
        if file == store.file and function.rpartition(".")[0] == owner and owner:
            calls = (each for each in nodes_of(parse(file)) if isinstance(each, ast.Call))
            end = _end_of(file, function, line)
            if any(line < each.lineno <= end and _calls(each, method) for each in calls):
                return True
    return False


def _end_of(file: str, function: str, line: int) -> int:
    """The last line of the function around a line."""
    name = function.rpartition(".")[2]
    ends = [
        each.end_lineno or 0
        for each in nodes_of(parse(file))
        if isinstance(each, ast.FunctionDef) and each.name == name and each.lineno <= line
    ]
    return min((end for end in ends if end >= line), default=0)


def _calls(call: ast.Call, method: str) -> bool:
    """``self.reset()``, ``self.apply(self.reset)``."""
    return any(
        isinstance(each, ast.Attribute)
        and each.attr == method
        and isinstance(each.value, ast.Name)
        and each.value.id == "self"
        for each in (call.func, *call.args)
    )


def _mentions_another(store: Store, tie: Tie) -> bool:
    """Whether what is stored is made from the other name: untied on purpose."""
    text = ast.unparse(store.value) if store.value is not None else ""
    target = ast.unparse(store.target)
    for slot in tie.slots:
        tail = ".".join(slot.path[-2:])
        if not target.endswith(tail) and tail in text:
            return True
        parent = slot.path[-2] if len(slot.path) > 1 else ""
        if parent and not target.endswith(parent) and f".{parent}" in text:
            return True
    return False
