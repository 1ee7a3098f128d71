"""What stands for torch's functions that write, while a session watches them.

Patched are Tensor's methods and torch's functions whose names end in an underscore, the in-place
operators, item assignment, and the `data` attribute; nothing that only reads. There are hundreds,
and to make them takes longer than a short test: they are made once, for all sessions of a process.
At the most one session is active at a time.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from threading import get_ident
from types import FrameType, ModuleType
from typing import Any, NamedTuple, Protocol

from graphlab.language import message
from graphlab.observe.graph.restored import memory_of, part_of, place_of
from graphlab.observe.notes import Memory
from graphlab.observe.tensors import Unnoticed, WeakMap, is_tensor, version_of
from graphlab.source.vocabulary import NOT_WRITERS, OPERATORS

_ABSENT = object()
# What a torch function mode or a subclass is called with, where an operator is used.
_HANDED = {
    "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_", "__imod__": "remainder_", "__ipow__": "pow_",
}  # fmt: skip


class Session(Protocol):
    """Who is told of writes (write_patches.py)."""

    detached: WeakMap
    on_refusal: Callable[..., None]

    def note(self, tensors: Any, before: Any, by: str, *, memory: Memory | None = None) -> None: ...

    def note_place(self, target: Any, given: Any, caller: FrameType) -> None: ...

    def data_of(self, tensor: Any) -> Any: ...

    def write_others(self, original: Any, by: str, target: Any, args: Any, kwargs: Any) -> Any: ...

    def written(self, stats: tuple[Any, ...], by: str) -> None: ...

    def hook_used(self) -> None: ...

    def read_data(self, alias: Any) -> None: ...

    def assign_data(self, target: Any, assign: Callable[[], None]) -> None: ...


class Patch(NamedTuple):
    """`holder.name` was `old`, perhaps inherited, and is `new`, which `make` makes of what it
    stands for."""

    holder: Any
    name: str
    old: Any
    new: Any
    make: Callable[[Any], Any]


class Wrappers:
    def __init__(self) -> None:
        self.session: Session | None = None
        self._patches: dict[tuple[int, str], Patch] = {}
        # The threads in which nothing is noted, and the one beside which there is no other
        # (write_patches.py).
        self.quiet: set[int] = set()
        self.alone: set[int] = set()

    def put_in(self) -> None:
        if not self._patches:
            self._make_all()
            return
        for patch in [*self._patches.values()]:
            if vars(patch.holder).get(patch.name, _ABSENT) is patch.old:
                setattr(patch.holder, patch.name, patch.new)
            else:
                # The program has put something of its own there since the last session.
                self._replace(patch.holder, patch.name, patch.make)

    def put_back(self, guarded: bool) -> None:
        """Patch again what the program has not patched since; `guarded`: only what is a class's."""
        for holder, name, old, new, _ in self._patches.values():
            if (isinstance(holder, type) or not guarded) and vars(holder).get(name, _ABSENT) is old:
                setattr(holder, name, new)

    def take_out(self) -> None:
        for holder, name, old, new, _ in reversed(self._patches.values()):
            if vars(holder).get(name) is new:
                _put(holder, name, old)

    @contextlib.contextmanager
    def without(self, holder: Any, name: str) -> Iterator[None]:
        """While this is open, `holder.name` is torch's own, if it is patched."""
        found = self._patches.get((id(holder), name))
        if found is None or vars(holder).get(name) is not found.new:
            yield
            return
        _put(holder, name, found.old)
        try:
            yield
        finally:
            if found.old is _ABSENT or vars(holder).get(name) is found.old:
                setattr(holder, name, found.new)

    def _replace(self, holder: Any, name: str, make: Callable[[Any], Any]) -> None:
        old = vars(holder).get(name, _ABSENT)
        new = make(getattr(holder, name))
        self._patches[id(holder), name] = Patch(holder, name, old, new, make)
        setattr(holder, name, new)

    def _make_all(self) -> None:
        import torch

        tensor = torch.Tensor
        names = [n for n in dir(torch._C.TensorBase) if n.endswith("_") and not n.endswith("__")]
        for name in (*names, *(f"__i{each}__" for each in OPERATORS), "__setitem__"):
            if callable(getattr(tensor, name, None)) and name not in NOT_WRITERS:
                self._replace(tensor, name, partial(self._writer, _spell(name), tensor, name))
        native: Any = torch._C
        for module in (torch, native._nn, torch._VF):
            for name in _writers_in(module):
                self._replace(module, name, partial(self._writer, f"torch.{name}", module, name))
        self._replace(tensor, "retain_grad", self._retaining)
        self._replace(torch, "batch_norm", self._normalizing)
        self._replace(tensor, "data", self._data)

    def _writer(self, by: str, holder: Any, name: str, original: Any) -> Any:
        import torch
        from torch import Tensor
        from torch.nn import Parameter

        # Whether a torch function mode of the program's is active (private to torch).
        modes: Any = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)
        quiet, alone = self.quiet, self.alone
        copies = holder is Tensor and name in ("copy_", "lerp_", "add_")
        assigns = name == "__setitem__"

        def writer(*args: Any, **kwargs: Any) -> Any:
            if alone or get_ident() in quiet:
                return original(*args, **kwargs) if kwargs else original(*args)
            session = self.session
            if session is None:
                # The program has kept it.
                return original(*args, **kwargs)
            # torch calls what it writes `input`, and a list of tensors `self`.
            target = args[0] if args else kwargs.get("input", kwargs.get("self"))
            kind = type(target)
            if (kind is Tensor or kind is Parameter) and not modes():
                before = version_of(target)
                data = session.data_of(target) if session.detached else None
                memory = memory_of(data) if data is not None else None
                if memory is not None:
                    index = args[1:2] if assigns else None
                    memory = memory._replace(part=part_of(target, index))
                try:
                    result = original(*args, **kwargs)
                except RuntimeError:
                    session.on_refusal(target, by, sys._getframe(1))
                    raise
                if version_of(target) != before:
                    session.note((target,), (before,), by, memory=memory)
                    if copies and len(args) > 1 and is_tensor(args[1]):
                        session.note_place(target, place_of(args[1]), sys._getframe(1))
                return result
            # A mode or a subclass may be called with the function, and must get the original one.
            with self.without(holder, name), self.without(holder, _HANDED.get(name, "")):
                result = session.write_others(original, by, target, args, kwargs)
            if copies and len(args) > 1 and is_tensor(target) and is_tensor(args[1]):
                with Unnoticed():
                    session.note_place(target, place_of(args[1]), sys._getframe(1))
            return result

        return functools.wraps(original)(writer) if hasattr(original, "__name__") else writer

    def _data(self, _: Any) -> Any:
        import torch

        native: Any = torch._C.TensorBase.data

        def read(target: Any) -> Any:
            alias = native.__get__(target)
            if self.session is not None:
                self.session.read_data(alias)
            return alias

        def assign(target: Any, new: Any) -> None:
            if self.session is None:
                native.__set__(target, new)
            else:
                self.session.assign_data(target, partial(native.__set__, target, new))

        return property(read, assign)

    def _retaining(self, original: Any) -> Any:
        @functools.wraps(original)
        def retain_grad(*args: Any, **kwargs: Any) -> Any:
            if self.session is not None:
                self.session.hook_used()
            return original(*args, **kwargs)

        return retain_grad

    def _normalizing(self, original: Any) -> Any:
        """In training, C++ writes the running statistics and bumps no version."""

        @functools.wraps(original)
        def batch_norm(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            noted = self.session is not None and get_ident() not in self.quiet
            if noted and len(args) >= 6 and args[5] and args[3] is not None:
                assert self.session is not None
                self.session.written((args[3], args[4]), message("observed.by.batch_norm"))
            return result

        return batch_norm


WRAPPERS = Wrappers()


def _writers_in(module: Any) -> Iterable[str]:
    names = dir(module.vf) if hasattr(module, "vf") else dir(module)
    for name in names:
        writes = name.endswith("_") and not name.endswith("__")
        if writes and (not name.startswith("_") or name.startswith("_foreach_")):
            member = getattr(module, name, None)
            if callable(member) and not isinstance(member, type | ModuleType):
                yield name


def _put(holder: Any, name: str, old: Any) -> None:
    if old is _ABSENT:
        delattr(holder, name)
    else:
        setattr(holder, name, old)


def _spell(name: str) -> str:
    """How a write is spelled in source: `add_()`, `+=`, `[…] = …`."""
    if name == "__setitem__":
        return "[…] = …"
    if name.startswith("__i"):
        return OPERATORS[name[3:-2]]
    return f"{name}()"
