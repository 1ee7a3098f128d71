"""Finds the names of tensors, modules and optimizers in the variables of the user's frames."""

from __future__ import annotations

import sys
import traceback
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

import torch

from graphlab.observe.process_state import stored_parameters
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
from graphlab.source.loops import spaces_of
from graphlab.source.objects import (
    LOST,
    attributes,
    class_module,
    class_name,
    fields,
    is_a,
    item,
    items,
    read_by_key,
    static,
    variables,
)
from graphlab.trace.values import Kind

# Reads the dictionary of an optimizer's, also where a class of the program's has a property there.
_own = vars(torch.optim.Optimizer)["__dict__"].__get__

_DEPTH, _ITEMS, _LIMIT = 4, 64, 20_000

# Top-level packages that are not the user's.
FOREIGN = ("torch", "numpy", "builtins", "graphlab")

# Attributes by which wrappers (DataParallel, FSDP, compile, Fabric, opacus) hold the user's module.
WRAPPERS = {"module", "_module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module"}

# A session may be a variable of the program; its attributes are no names.
_OWN = ("graphlab.observe.", "graphlab.api.")

_SELVES = ("self", "cls")
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
        # The submodules of those that were met, while names are gathered.
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
        spaces = [space for each in frames for space in spaces_of(each)]
        seen = {id(space) for space in spaces}
        spaces += {
            id(space): space for each in frames if id(space := each.f_globals) not in seen
        }.values()
        self._collect([variables(space) for space in spaces])
        return self

    def gather_traceback(self, error: BaseException) -> Names:
        """As `gather`, for the frames that an exception passed through."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        return self.gather_frames(frames[::-1])

    def gather_from(self, space: dict[str, Any]) -> Names:
        """As `gather`, for one dict of variables: a program's globals after its end."""
        self._collect([variables(space)])
        return self

    def held_optimizers(self) -> list[Any]:
        return [self._held[key] for key in self.optimizers]

    def module_types(self) -> dict[str, str]:
        """The class of every module by its name."""
        return {name: class_name(self._held[key]) for key, name in self.modules.items()}

    def held_modules(self) -> list[Any]:
        return [self._held[key] for key in self.modules]

    def _collect(self, spaces: list[dict[str, Any]]) -> None:
        """Name what the variables of `spaces` lead to, those of the innermost frame first.

        Modules come first, and the outermost frame with them: a model is called what the main
        program calls it. Of the rest, `self` leads to what no variable does, and what only private
        attributes lead to has its name from nowhere else.
        """
        selves = [{key: space.pop(key) for key in _SELVES if key in space} for space in spaces]
        # The name of a variable says more than `self` does.
        walks = [_Walk(a | b, self, True) for a, b in zip(spaces, selves, strict=True)]
        others = [_Walk(space, self, False) for space in (*spaces, *selves)]
        for several in (walks[::-1], others):
            for private in (False, True):
                for walk in several:
                    walk.run(private)
        for name, parameter in stored_parameters():
            if is_tensor(parameter):
                self._add(parameter, name, "parameter", name.partition("(")[0])
        self._inner.clear()

    def inside(self, module: Any) -> tuple[_Submodules, _Submodules]:
        """All submodules with their paths, itself first; and those of the user's own classes."""
        found = self._inner.get(id(module))
        if found is None:
            every = [*submodules(module)]
            own = [each for each in every[1:] if _package(type(each[1])) not in FOREIGN]
            found = self._inner[id(module)] = every, own
        return found

    def see(self, name: str, value: Any, modules_only: bool, inner: bool) -> bool:
        """Note an object under its name; whether to look at what it holds. `inner`: only what a
        library keeps to itself leads to it."""
        if is_tensor(value):
            if not modules_only:
                self._tensor(name, value)
            return False
        if is_module(value):
            if modules_only:
                self._module(name, value)
        elif is_a(value, torch.optim.Optimizer):
            one = wrapped(value)
            self._held[id(one)] = one
            # The variable that it was built for says more.
            self.optimizers.setdefault(id(one), "" if inner else name)
            return False
        return True

    def _module(self, name: str, module: Any) -> None:
        shown = {"": ""}
        kinds = {"": type(module)}
        modules, held = self.modules, self._held
        for path, each in self.inside(module)[0]:
            full = ""
            if path:
                outer, _, last = path.rpartition(".")
                kinds[path] = type(each)
                # The path through a library's wrapper is left out: users do not write it.
                full = shown[outer]
                if not (last in WRAPPERS and not self.is_users(kinds[outer])):
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

    def is_users(self, kind: type) -> bool:
        if _package(kind) in FOREIGN:
            return False
        module = sys.modules.get(str(static(kind, "__module__")))
        file = attributes(module).get("__file__") if module is not None else None
        return type(file) is not str or file in self._files

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


# (name, value, how deep it was found, whether only what a library keeps to itself leads to it)
_Reached = tuple[str, Any, int, bool]


class _Walk:
    """Goes through what variables hold, breadth first: the shortest path is the name. What private
    attributes lead to waits until `run` is called with `private`."""

    def __init__(self, space: dict[str, Any], names: Names, modules_only: bool) -> None:
        named = [
            (name, value, 0, False)
            for name, value in space.items()
            # A temporary of pytest's ``assert`` or a comprehension's is called nothing to be read.
            if name.isidentifier() and not name.startswith("__") and not is_a(value, ModuleType)
        ]
        self._queues = deque(named), deque[_Reached]()
        self._names, self._modules_only = names, modules_only
        self._visited: set[int] = set()
        self._left = _LIMIT

    def run(self, private: bool) -> None:
        queue = self._queues[private]
        while queue and self._left > 0:
            name, value, depth, inner = queue.popleft()
            if id(value) in self._visited or _plain(value):
                continue
            self._left -= 1
            if inner and is_module(value) and self._names.is_users(type(value)):
                # ``fit(Model())``: it has no variable, and the library's path to it says nothing.
                name, inner, depth = class_name(value), False, 0
            if not is_tensor(value):
                self._visited.add(id(value))
            if not self._names.see(name, value, self._modules_only, inner) or depth == _DEPTH:
                continue
            self._add(name, value, depth + 1, private, inner)
            # The submodules' own variables, such as a plain list of layers; torch's have none.
            for path, each in self._names.inside(value)[1] if is_module(value) else ():
                if id(each) not in self._visited:
                    self._visited.add(id(each))
                    self._add(f"{name}.{path}", each, depth + 1, private, inner)

    def _add(self, name: str, holder: Any, depth: int, private: bool, inner: bool) -> None:
        for path, child in _children(name, holder):
            hidden = path.startswith("._", len(name))
            kept = inner or (hidden and not self._names.is_users(type(holder)))
            self._queues[private or hidden].append((path, child, depth, kept))


def wrapped(optimizer: Any) -> Any:
    """The optimizer that a wrapper hands everything on to, as those of libraries do; itself if it
    is none. A wrapper that steps by its own rule has a state of its own."""
    for _ in range(_DEPTH if is_a(optimizer, torch.optim.Optimizer) else 0):
        own = attributes(optimizer)
        inner = {id(each): each for each in own.values() if is_a(each, torch.optim.Optimizer)}
        if len(inner) != 1:
            break
        (each,) = inner.values()
        if "state" in own and own["state"] is not attributes(each).get("state"):
            break
        optimizer = each
    return optimizer


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
    if len(groups) == 1:
        only = groups[0]
        parameters = only.get("params") if type(only) is dict else None
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
            (f"{path}.{key}" if path else str(key), child)
            for key, child in _entries(attributes(each), "_modules")
            if is_module(child)
        ]
        inner.reverse()
        stack += inner


def _entries(own: dict[str, Any], drawer: str) -> Iterable[tuple[str | int, Any]]:
    """The parameters, buffers or submodules of a module, whose dictionary is `own`."""
    kept = own.get(drawer)
    if type(kept) is not dict or not kept:
        return items(kept)
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


def _plain(value: Any) -> bool:
    """Whether nothing with a name can be in it."""
    # By identity: the class, or its metaclass, may define `__hash__`.
    return value is None or id(type(value)) in _PLAIN_IDS or is_a(value, _PLAIN)


def _package(kind: type) -> str:
    found = static(kind, "__module__")
    return found.split(".")[0] if type(found) is str else ""


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
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
        foreign = module.split(".")[0] in FOREIGN and static(type(value), "step") is LOST
        if foreign or module.startswith(_OWN):
            return
        for key, each in [*attributes(value).items()][:_ITEMS]:
            if type(key) is str and not _plain(each):
                kept = read_by_key(value, key)
                yield from _children(name, kept) if kept else ((f"{name}.{key}", each),)
