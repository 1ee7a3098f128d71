"""Finds the names of tensors, modules and optimizers in the variables of the user's frames."""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

import torch

from graphlab.observe.tensors import (
    Named,
    is_module,
    is_tensor,
    kind_of,
    overlap,
    same_place,
    storage_key,
)
from graphlab.source.files import UserFiles
from graphlab.source.objects import (
    LOST,
    attributes,
    class_module,
    class_name,
    fields,
    is_a,
    item,
    items,
    static,
    variables,
)
from graphlab.trace.values import Kind

_DEPTH = 4


_ITEMS = 64


_LIMIT = 20_000


# Top-level packages that are not the user's.
FOREIGN = ("torch", "numpy", "builtins", "graphlab")


# Attributes by which torch's wrappers (DataParallel, FSDP, compile) hold the user's module.
_WRAPPERS = {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module"}


# A session may be a variable of the program; its own attributes are no names for tensors.
_OWN = ("graphlab.observe.", "graphlab.api.")


_PLAIN = (str, bytes, int, float, type)
# The types of most variables that hold nothing with a name.
_PLAIN_IDS = frozenset(map(id, (*_PLAIN, bool, FunctionType, BuiltinFunctionType, ModuleType)))


# What every module of torch's holds: its own tables and hooks.
_HIDDEN = frozenset(attributes(torch.nn.Module()))


_Submodules = list[tuple[str, Any]]


class Names:
    """Names of all objects that a stack of frames can reach, gathered once, by `id()`."""

    def __init__(self, files: UserFiles) -> None:
        self._files = files
        self.tensors: dict[int, Named] = {}
        self.storages: dict[int, list[tuple[Any, Named]]] = {}
        self.modules: dict[int, str] = {}
        self.optimizers: dict[int, str] = {}
        # Parameters whose module is in training mode.
        self.training: set[int] = set()
        self._held: dict[int, Any] = {}
        # The submodules of the modules met, and those of the user's own classes: only meanwhile.
        self._inner: dict[int, tuple[_Submodules, _Submodules]] = {}

    def gather(self, frame: FrameType | None) -> Names:
        """Look through the user's frames from `frame` outwards: locals, then module globals."""
        frames = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        return self.gather_frames(frames)

    def gather_frames(self, frames: list[FrameType]) -> Names:
        """As `gather`, for a list of frames, innermost first."""
        frames = [each for each in frames if each.f_code in self._files]
        spaces: list[Any] = [each.f_locals for each in frames]
        seen = {id(space) for space in spaces}
        for each in frames:
            if id(each.f_globals) not in seen:
                seen.add(id(each.f_globals))
                spaces.append(each.f_globals)
        named = [variables(space) for space in spaces]
        # Outermost first for modules: a model is called what the main program calls it.
        for space in reversed(named):
            self._collect(space, modules_only=True)
        for space in named:
            self._collect(space, modules_only=False)
        self._inner.clear()
        return self

    def gather_traceback(self, error: BaseException) -> Names:
        """As `gather`, for the frames that an exception passed through."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        return self.gather_frames(frames[::-1])

    def gather_from(self, space: dict[str, Any]) -> Names:
        """As `gather`, for one dict of variables: a program's globals after its end."""
        for modules_only in (True, False):
            self._collect(variables(space), modules_only)
        self._inner.clear()
        return self

    def held_optimizers(self) -> list[Any]:
        return [self._held[key] for key in self.optimizers]

    def module_types(self) -> dict[str, str]:
        """The class of every module by its name."""
        return {name: class_name(self._held[key]) for key, name in self.modules.items()}

    def held_modules(self) -> list[Any]:
        return [self._held[key] for key in self.modules]

    def _collect(self, space: dict[str, Any], modules_only: bool) -> None:
        named = [
            (name, value)
            for name, value in space.items()
            if not name.startswith("__") and not is_a(value, ModuleType)
        ]
        # `self` last: the name of a variable says more than `self` does.
        named.sort(key=lambda item: item[0] in ("self", "cls"))
        visited: set[int] = set()
        budget = [_LIMIT]
        for name, value in named:
            self._visit(name, value, 0, visited, budget, modules_only)

    def _visit(
        self, name: str, value: Any, depth: int, visited: set[int], budget: list[int], mods: bool
    ) -> None:
        if depth > _DEPTH or budget[0] <= 0 or _plain(value):
            return
        budget[0] -= 1
        if is_tensor(value):
            if not mods:
                self._tensor(name, value)
            return
        if id(value) in visited:
            return
        visited.add(id(value))
        module = is_module(value)
        if module:
            if mods and id(value) not in self.modules:
                self._module(name, value)
        elif is_a(value, torch.optim.Optimizer):
            self.optimizers.setdefault(id(value), name)
            self._held[id(value)] = value
            return
        for key, child in _children(name, value, self._files):
            self._visit(key, child, depth + 1, visited, budget, mods)
        if module:
            # Its own variables, such as a plain list of layers; torch's modules have none.
            for path, inner in self._inside(value)[1]:
                if id(inner) not in visited:
                    visited.add(id(inner))
                    for key, child in _children(f"{name}.{path}", inner, self._files):
                        self._visit(key, child, depth + 1, visited, budget, mods)

    def _inside(self, module: Any) -> tuple[_Submodules, _Submodules]:
        """All submodules with their paths, itself first; and those of the user's own classes."""
        found = self._inner.get(id(module))
        if found is None:
            every = [*submodules(module)]
            own = [each for each in every[1:] if _package(type(each[1])) not in FOREIGN]
            found = self._inner[id(module)] = every, own
        return found

    def _module(self, name: str, module: Any) -> None:
        shown = {"": ""}
        kinds = {"": type(module)}
        modules, held = self.modules, self._held
        for path, each in self._inside(module)[0]:
            full = ""
            if path:
                outer, _, last = path.rpartition(".")
                kinds[path] = type(each)
                # The path through one of torch's wrappers is left out: users do not write it.
                full = shown[outer]
                if not (last in _WRAPPERS and _package(kinds[outer]) in FOREIGN):
                    full = f"{full}.{last}" if full else last
                shown[path] = full
            prefix = f"{name}.{full}" if full else name
            modules.setdefault(id(each), prefix)
            held[id(each)] = each
            own = attributes(each)
            training = own.get("training")
            for key, parameter in _entries(own, "_parameters"):
                if is_tensor(parameter):
                    self._add(parameter, f"{prefix}.{key}", "parameter", name)
                    if training:
                        self.training.add(id(parameter))
            for key, buffer in _entries(own, "_buffers"):
                if is_tensor(buffer):
                    self._add(buffer, f"{prefix}.{key}", "buffer", name)

    def _tensor(self, name: str, tensor: Any) -> None:
        self._add(tensor, name, kind_of(tensor), name.split(".")[0].split("[")[0])

    def _add(self, tensor: Any, name: str, kind: Kind, owner: str | None) -> None:
        if id(tensor) in self.tensors:
            return
        named = self.tensors[id(tensor)] = Named(name, kind, owner)
        key = storage_key(tensor)
        if key in self.storages:
            self.storages[key].append((tensor, named))
        elif key is not None:
            self.storages[key] = [(tensor, named)]

    def of_tensor(self, tensor: Any) -> tuple[Any, Named] | None:
        """(the user's tensor, its name) for `tensor` or for what it is a view of."""
        known = self.tensors.get(id(tensor))
        if known is not None:
            return tensor, known
        key = storage_key(tensor)
        candidates = self.storages.get(key) if key is not None else None
        if not candidates:
            return None
        for candidate, named in candidates:
            if named.kind in ("parameter", "buffer") and overlap(candidate, tensor):
                return candidate, named
        for candidate, named in candidates:
            if same_place(candidate, tensor):
                return candidate, named
        for candidate, named in candidates:
            if overlap(candidate, tensor):
                return candidate, named
        return None


def parameters_of(optimizer: Any) -> list[Any]:
    """The optimizer's parameters in its own order; empty if its constructor failed. Read-only: it
    may be the list in `param_groups` itself."""
    groups = attributes(optimizer).get("param_groups")
    if type(groups) is not list:
        return []
    if len(groups) == 1 and type(groups[0]) is dict and type(groups[0].get("params")) is list:
        return groups[0]["params"]
    return [p for _, group in items(groups) for _, p in items(item(group, "params"))]


def submodules(module: Any) -> Iterator[tuple[str, Any]]:
    """As ``module.named_modules()``, which a subclass may override, so it is not called."""
    seen: set[int] = set()
    stack = [("", module)]
    while stack:
        path, each = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield path, each
        inner = [
            (f"{path}.{key}" if path else str(key), child)
            for key, child in _entries(attributes(each), "_modules")
            if is_module(child)
        ]
        inner.reverse()
        stack += inner


def _entries(own: dict[str, Any], drawer: str) -> Iterable[tuple[str | int, Any]]:
    """The parameters, buffers or submodules of a module, whose dictionary is `own`."""
    kept = own.get(drawer)
    if type(kept) is not dict:
        return items(kept)
    if not kept:
        return ()
    # A copy, because another thread may write to it meanwhile.
    return [each for each in [*kept.items()] if type(each[0]) is str]


def parameters_in(*modules: Any) -> list[Any]:
    """As ``list(module.parameters())``, of several modules that may hold one another."""
    found: dict[int, Any] = {}
    seen: set[int] = set()
    stack = [*reversed(modules)]
    while stack:
        module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        own = attributes(module)
        for _, parameter in items(own.get("_parameters")):
            if is_tensor(parameter):
                found.setdefault(id(parameter), parameter)
        inner = [each for _, each in items(own.get("_modules")) if is_module(each)]
        stack.extend(reversed(inner))
    return list(found.values())


def buffers_in(module: Any) -> list[Any]:
    """As ``list(module.buffers())``."""
    return [
        buffer
        for _, each in submodules(module)
        for _, buffer in items(attributes(each).get("_buffers"))
        if is_tensor(buffer)
    ]


def _plain(value: Any) -> bool:
    """Whether nothing with a name can be in it."""
    # By identity: the class, or its metaclass, may define `__hash__`.
    return value is None or id(type(value)) in _PLAIN_IDS or is_a(value, _PLAIN)


def _package(kind: type) -> str:
    found = static(kind, "__module__")
    return found.split(".")[0] if type(found) is str else ""


def _children(name: str, value: Any, files: UserFiles) -> Iterator[tuple[str, Any]]:
    """(name, value) of an object's items and stored attributes, without running its code."""
    if is_module(value):
        own = _package(type(value)) not in FOREIGN
        for key, each in [*attributes(value).items()][:_ITEMS]:
            # A name of torch's own with an underscore is not for users: ``_flat_weights``.
            if key not in _HIDDEN and (not key.startswith("_") or own) and not _plain(each):
                yield f"{name}.{key}", each
    elif is_a(value, dict):
        for key, each in items(value, _ITEMS):
            if not _plain(each):
                yield f"{name}[{key!r}]".replace("'", '"'), each
    elif is_a(value, (list, tuple)):
        names = fields(value)
        for index, each in items(value, _ITEMS):
            if not _plain(each):
                assert type(index) is int
                named = f".{names[index]}" if index < len(names) else f"[{index}]"
                yield f"{name}{named}", each
    elif not is_a(value, (weakref.ref, ModuleType)):
        module = class_module(value)
        if module.split(".")[0] in FOREIGN and static(type(value), "step") is LOST:
            return
        if module.startswith(_OWN):
            return
        for key, each in [*attributes(value).items()][:_ITEMS]:
            if type(key) is str and not _plain(each):
                yield f"{name}.{key}", each
