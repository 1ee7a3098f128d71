"""Names for tensors, modules and optimizers: whatever the user's frames can reach."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any

from graphlab.observe.source import UserFiles
from graphlab.observe.storage import storage_key
from graphlab.trace.model import Kind

_DEPTH = 4
_ITEMS = 64
_LIMIT = 20_000
# Attributes that wrap a model without the user having named them.
FOREIGN = ("torch", "numpy", "builtins", "graphlab")
_WRAPPERS = {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module"}
# A session is a variable of the program too, and must not lend its own insides as names.
_OWN = ("graphlab.observe.", "graphlab.session")


@dataclass(frozen=True, slots=True)
class Named:
    name: str
    kind: Kind
    owner: str | None


class Names:
    """Everything that a stack of frames can name, gathered once and kept by identity."""

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
        """The same for frames innermost first: those of a traceback, say."""
        frames = [each for each in frames if each.f_code.co_filename in self._files]
        spaces: list[dict[str, Any]] = [each.f_locals for each in frames]
        seen = {id(space) for space in spaces}
        for each in frames:
            if id(each.f_globals) not in seen:
                seen.add(id(each.f_globals))
                spaces.append(each.f_globals)
        # Outermost first for modules: a model is called what the main program calls it.
        for space in reversed(spaces):
            self._collect(space, modules_only=True)
        for space in spaces:
            self._collect(space, modules_only=False)
        return self

    def gather_from(self, variables: dict[str, Any]) -> Names:
        """As `gather`, in one name space: a program's globals after its end."""
        for modules_only in (True, False):
            self._collect(variables, modules_only)
        return self

    def held_optimizers(self) -> list[Any]:
        return [self._held[key] for key in self.optimizers]

    def module_types(self) -> dict[str, str]:
        """The class of every module by its name."""
        return {name: type(self._held[key]).__name__ for key, name in self.modules.items()}

    def held_modules(self) -> list[Any]:
        return [self._held[key] for key in self.modules]

    def _collect(self, space: dict[str, Any], modules_only: bool) -> None:
        variables = [
            (name, value)
            for name, value in list(space.items())
            if not name.startswith("__") and not isinstance(value, ModuleType)
        ]
        # `self` last: a variable that holds the object says more than the method's own word.
        variables.sort(key=lambda item: item[0] in ("self", "cls"))
        visited: set[int] = set()
        budget = [_LIMIT]
        for name, value in variables:
            self._visit(name, value, 0, visited, budget, modules_only)

    def _visit(
        self, name: str, value: Any, depth: int, visited: set[int], budget: list[int], mods: bool
    ) -> None:
        if depth > _DEPTH or budget[0] <= 0 or isinstance(value, str | bytes | int | float | type):
            return
        budget[0] -= 1
        import torch

        if isinstance(value, torch.Tensor):
            if not mods:
                self._tensor(name, value)
            return
        if id(value) in visited:
            return
        visited.add(id(value))
        if isinstance(value, torch.nn.Module):
            if mods:
                self._module(name, value)
        elif isinstance(value, torch.optim.Optimizer):
            self.optimizers.setdefault(id(value), name)
            self._held[id(value)] = value
            return
        for key, child in _children(name, value, self._files):
            self._visit(key, child, depth + 1, visited, budget, mods)

    def _module(self, name: str, module: Any) -> None:
        owner = name
        shown = {"": ""}
        kinds = {"": type(module)}
        for path, each in module.named_modules():
            outer, _, last = path.rpartition(".")
            kinds[path] = type(each)
            # What torch wraps a module in, the user does not speak of.
            hidden = last in _WRAPPERS and kinds[outer].__module__.split(".")[0] in FOREIGN
            full = shown[path] = shown[outer] if hidden or not path else _join(shown[outer], last)
            self.modules.setdefault(id(each), f"{name}.{full}" if full else name)
            self._held[id(each)] = each
            for key, parameter in each._parameters.items():
                if parameter is not None:
                    self._add(parameter, _join(name, full, key), "parameter", owner)
                    if each.training:
                        self.training.add(id(parameter))
            for key, buffer in each._buffers.items():
                if buffer is not None:
                    self._add(buffer, _join(name, full, key), "buffer", owner)

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
            if named.kind in ("parameter", "buffer") and _overlap(candidate, tensor):
                return candidate, named
        for candidate, named in candidates:
            same = candidate.shape == tensor.shape and candidate.stride() == tensor.stride()
            if same and candidate.storage_offset() == tensor.storage_offset():
                return candidate, named
        for candidate, named in candidates:
            if _overlap(candidate, tensor):
                return candidate, named
        return None


def kind_of(tensor: Any) -> Kind:
    import torch

    if isinstance(tensor, torch.nn.Parameter):
        return "parameter"
    if not tensor.requires_grad:
        return "input"
    # Whoever asks a view for its node has it made anew if its base was written since, or refused.
    return "parameter" if not tensor._is_view() and tensor.is_leaf else "activation"


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def _overlap(one: Any, other: Any) -> bool:
    from graphlab.observe.storage import byte_span

    (a, b), (c, d) = byte_span(one), byte_span(other)
    return a < d and c < b


def _children(name: str, value: Any, files: UserFiles) -> Iterator[tuple[str, Any]]:
    import torch

    items: Iterable[tuple[str, Any]]
    if isinstance(value, dict):
        items = ((f"{name}[{key!r}]".replace("'", '"'), v) for key, v in list(value.items()))
    elif isinstance(value, list | tuple):
        fields = getattr(value, "_fields", None)
        if fields:
            items = ((f"{name}.{key}", v) for key, v in zip(fields, value, strict=False))
        else:
            items = ((f"{name}[{index}]", v) for index, v in enumerate(value[:_ITEMS]))
    elif isinstance(value, torch.nn.Module):
        hidden = ("_parameters", "_buffers", "_modules")
        items = (
            (f"{name}.{key}", v)
            for key, v in list(vars(value).items())
            if key not in hidden and not key.startswith("_")
        )
    elif isinstance(value, weakref.ref | ModuleType) or not hasattr(value, "__dict__"):
        return
    else:
        module = getattr(type(value), "__module__", "")
        if module.split(".")[0] in FOREIGN and not callable(getattr(value, "step", None)):
            return
        if module.startswith(_OWN):
            return
        items = ((f"{name}.{key}", v) for key, v in list(vars(value).items()))
    for index, item in enumerate(items):
        if index >= _ITEMS:
            return
        yield item
