"""Finds the names of tensors, modules and optimizers in the variables of the user's frames."""

from __future__ import annotations

import traceback
import weakref
from collections.abc import Iterator
from types import FrameType, ModuleType
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

# Reads the dictionary of an optimizer's, also where a class of the program's has a property there.
_own = vars(torch.optim.Optimizer)["__dict__"].__get__

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


# What every module of torch's holds: its own tables and hooks.
_HIDDEN = frozenset(attributes(torch.nn.Module()))


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

    def gather(self, frame: FrameType | None) -> Names:
        """Look through the user's frames from `frame` outwards: locals, then module globals."""
        frames = []
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        return self.gather_frames(frames)

    def gather_frames(self, frames: list[FrameType]) -> Names:
        """As `gather`, for a list of frames, innermost first."""
        frames = [each for each in frames if each.f_code.co_filename in self._files]
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
        return self

    def gather_traceback(self, error: BaseException) -> Names:
        """As `gather`, for the frames that an exception passed through."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        return self.gather_frames(frames[::-1])

    def gather_from(self, space: dict[str, Any]) -> Names:
        """As `gather`, for one dict of variables: a program's globals after its end."""
        for modules_only in (True, False):
            self._collect(variables(space), modules_only)
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
        if depth > _DEPTH or budget[0] <= 0 or is_a(value, _PLAIN):
            return
        budget[0] -= 1
        if is_tensor(value):
            if not mods:
                self._tensor(name, value)
            return
        if id(value) in visited:
            return
        visited.add(id(value))
        if is_module(value):
            if mods:
                self._module(name, value)
        elif is_a(value, torch.optim.Optimizer):
            self.optimizers.setdefault(id(value), name)
            self._held[id(value)] = value
            return
        for key, child in _children(name, value, self._files):
            self._visit(key, child, depth + 1, visited, budget, mods)
        if is_module(value):
            for path, inner in submodules(value):
                # Its own variables, such as a plain list of layers; torch's modules have none.
                if path and id(inner) not in visited and _package(type(inner)) not in FOREIGN:
                    visited.add(id(inner))
                    for key, child in _children(f"{name}.{path}", inner, self._files):
                        self._visit(key, child, depth + 1, visited, budget, mods)

    def _module(self, name: str, module: Any) -> None:
        owner = name
        shown = {"": ""}
        kinds = {"": type(module)}
        for path, each in submodules(module):
            outer, _, last = path.rpartition(".")
            kinds[path] = type(each)
            # The path through one of torch's wrappers is left out: users do not write it.
            hidden = last in _WRAPPERS and _package(kinds[outer]) in FOREIGN
            full = shown[path] = shown[outer] if hidden or not path else _join(shown[outer], last)
            self.modules.setdefault(id(each), f"{name}.{full}" if full else name)
            self._held[id(each)] = each
            own = attributes(each)
            for key, parameter in items(own.get("_parameters")):
                if is_tensor(parameter):
                    self._add(parameter, _join(name, full, str(key)), "parameter", owner)
                    if own.get("training"):
                        self.training.add(id(parameter))
            for key, buffer in items(own.get("_buffers")):
                if is_tensor(buffer):
                    self._add(buffer, _join(name, full, str(key)), "buffer", owner)

    def _tensor(self, name: str, tensor: Any) -> None:
        self._add(tensor, name, kind_of(tensor), name.split(".")[0].split("[")[0])

    def _add(self, tensor: Any, name: str, kind: Kind, owner: str | None) -> None:
        if id(tensor) in self.tensors:
            return
        named = Named(name, kind, owner)
        self.tensors[id(tensor)] = named
        key = storage_key(tensor)
        if key is not None:
            self.storages.setdefault(key, []).append((tensor, named))

    def of_tensor(self, tensor: Any) -> tuple[Any, Named] | None:
        """(the user's tensor, its name) for `tensor` or for what it is a view of."""
        known = self.tensors.get(id(tensor))
        if known is not None:
            return tensor, known
        key = storage_key(tensor)
        candidates = self.storages.get(key, []) if key is not None else []
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
    try:
        groups = _own(optimizer).get("param_groups")
    except TypeError:
        # Not an optimizer of torch's.
        groups = attributes(optimizer).get("param_groups")
    if type(groups) is not list:
        return []
    if len(groups) == 1 and type(groups[0]) is dict:
        parameters = groups[0].get("params")
        if type(parameters) is list:
            return parameters
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
            (_join(path, str(key)), child)
            for key, child in items(attributes(each).get("_modules"))
            if is_module(child)
        ]
        stack.extend(reversed(inner))


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


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _package(kind: type) -> str:
    found = static(kind, "__module__")
    return found.split(".")[0] if type(found) is str else ""


def _children(name: str, value: Any, files: UserFiles) -> Iterator[tuple[str, Any]]:
    """(name, value) of an object's items and stored attributes, without running its code."""
    if is_a(value, dict):
        for key, each in items(value, _ITEMS):
            yield f"{name}[{key!r}]".replace("'", '"'), each
    elif is_a(value, (list, tuple)):
        names = fields(value)
        for index, each in items(value, _ITEMS):
            assert type(index) is int
            named = f".{names[index]}" if index < len(names) else f"[{index}]"
            yield f"{name}{named}", each
    elif is_module(value):
        own = _package(type(value)) not in FOREIGN
        for key, each in list(attributes(value).items())[:_ITEMS]:
            # A name of torch's own with an underscore is not for users: ``_flat_weights``.
            if key not in _HIDDEN and (not key.startswith("_") or own):
                yield f"{name}.{key}", each
    elif not is_a(value, (weakref.ref, ModuleType)):
        module = class_module(value)
        if module.split(".")[0] in FOREIGN and static(type(value), "step") is LOST:
            return
        if module.startswith(_OWN):
            return
        for key, each in list(attributes(value).items())[:_ITEMS]:
            if type(key) is str:
                yield f"{name}.{key}", each
