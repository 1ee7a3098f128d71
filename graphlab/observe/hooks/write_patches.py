"""Patches torch's in-place functions, and notes each write by the version counter.

Patched are Tensor's methods and torch's functions whose names end in an underscore, the in-place
operators, item assignment, and the `data` attribute; nothing that only reads. A wrapper compares
the version counter before and after, so a function that does not write after all is not noted.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from threading import get_ident
from types import FrameType, ModuleType
from typing import Any

from graphlab.language import message
from graphlab.observe.graph.restored import memory_of, part_of, place_of
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.notes import Log, Memory, RawWrite
from graphlab.observe.tensors import (
    Unnoticed,
    WeakMap,
    base_of,
    byte_span,
    is_tensor,
    storage_key,
    version_of,
    versions_of,
)
from graphlab.source.objects import exactly
from graphlab.source.vocabulary import NOT_WRITERS, OPERATORS

_ABSENT = object()
# What a torch function mode or a subclass is called with, where an operator is used.
_HANDED = {
    "__iadd__": "add_", "__isub__": "sub_", "__imul__": "mul_", "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_", "__imod__": "remainder_", "__ipow__": "pow_",
}  # fmt: skip
# How many threads there are beside the main one. Private to Python; where it is not there, there
# always may be another.
_others: Callable[[], int] = getattr(_thread, "_count", lambda: 1)


class WritePatches:
    """Patches on `start()`, restores exactly what was there on `stop()`."""

    def __init__(self, log: Log, tracer: LineTracer, on_refusal: Callable[..., None]) -> None:
        self._log = log
        self._tracer = tracer
        self._on_refusal = on_refusal
        self._patches: list[tuple[Any, str, Any, Any]] = []
        self._places: dict[tuple[int, str], tuple[Any, str, Any, Any]] = {}
        self._detached = WeakMap()
        # The threads in which nothing is noted: the observer is working there, or an optimizer's
        # step is running.
        self.quiet: set[int] = set()
        # The thread in which a step is running, while there is no other: not to ask each time.
        self._alone: set[int] = set()

    def hush(self) -> None:
        """Note nothing in this thread: a step runs in it."""
        self.quiet.add(get_ident())
        if not _others():
            self._alone.add(get_ident())

    def unhush(self) -> None:
        """Note again what this thread writes."""
        self._alone.clear()
        self.quiet.discard(get_ident())

    def start(self) -> None:
        import torch

        tensor = torch.Tensor
        names = [n for n in dir(torch._C.TensorBase) if n.endswith("_") and not n.endswith("__")]
        for name in (*names, *(f"__i{each}__" for each in OPERATORS), "__setitem__"):
            original = getattr(tensor, name, None)
            if callable(original) and name not in NOT_WRITERS:
                self._replace(tensor, name, self._wrap(original, _spell(name), tensor, name))
        native: Any = torch._C
        for module in (torch, native._nn, torch._VF):
            for name in self._function_names(module):
                original = getattr(module, name)
                wrapped = self._wrap(original, f"torch.{name}", module, name)
                self._replace(module, name, wrapped)
        self._watch_retained(tensor)
        self._watch_batch_norm(torch)
        self._watch_data(tensor)

    def stop(self) -> None:
        self.take_out()
        self._patches = []

    def put_in(self, guarded: bool) -> None:
        """Patch again after a compilation, what the program has not patched since. If it was
        `guarded`, only Tensor's members: a guard of the compiled code checks torch's functions by
        identity."""
        for holder, name, old, new in self._patches:
            if (isinstance(holder, type) or not guarded) and vars(holder).get(name, _ABSENT) is old:
                setattr(holder, name, new)

    def take_out(self) -> None:
        """Restore torch's functions, except where the program has replaced a patch since."""
        for holder, name, old, new in reversed(self._patches):
            if vars(holder).get(name) is not new:
                continue
            _put(holder, name, old)

    @staticmethod
    def _function_names(module: Any) -> Iterable[str]:
        names = dir(module.vf) if hasattr(module, "vf") else dir(module)
        for name in names:
            writes = name.endswith("_") and not name.endswith("__")
            if writes and (not name.startswith("_") or name.startswith("_foreach_")):
                member = getattr(module, name, None)
                if callable(member) and not isinstance(member, type | ModuleType):
                    yield name

    def _replace(self, holder: Any, name: str, new: Any) -> None:
        patch = holder, name, vars(holder).get(name, _ABSENT), new
        self._patches.append(patch)
        self._places[id(holder), name] = patch
        setattr(holder, name, new)

    def _wrap(self, original: Any, by: str, holder: Any, name: str) -> Any:
        import torch
        from torch import Tensor
        from torch.nn import Parameter

        # Whether a torch function mode of the program's is active (private to torch).
        modes: Any = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)

        quiet, alone, detached = self.quiet, self._alone, self._detached
        copies = holder is Tensor and name in ("copy_", "lerp_", "add_")
        assigns = name == "__setitem__"

        def writer(*args: Any, **kwargs: Any) -> Any:
            if alone or get_ident() in quiet:
                return original(*args, **kwargs) if kwargs else original(*args)
            # torch calls what it writes `input`, and a list of tensors `self`.
            target = args[0] if args else kwargs.get("input", kwargs.get("self"))
            kind = type(target)
            if (kind is Tensor or kind is Parameter) and not modes():
                before = version_of(target)
                data = self._data_of(target) if detached else None
                memory = memory_of(data) if data is not None else None
                if memory is not None:
                    index = args[1:2] if assigns else None
                    memory = memory._replace(part=part_of(target, index))
                try:
                    result = original(*args, **kwargs)
                except RuntimeError:
                    self._on_refusal(target, by, sys._getframe(1))
                    raise
                if version_of(target) != before:
                    self.note((target,), (before,), by, memory=memory)
                    if copies and len(args) > 1 and is_tensor(args[1]):
                        self._note_place(target, place_of(args[1]), sys._getframe(1))
                return result
            # A mode or a subclass may be called with the function, and must get the original one.
            with self._unpatched(holder, name), self._unpatched(holder, _HANDED.get(name, "")):
                result = self._write_others(original, by, target, args, kwargs)
            if copies and len(args) > 1 and is_tensor(target) and is_tensor(args[1]):
                with Unnoticed():
                    self._note_place(target, place_of(args[1]), sys._getframe(1))
            return result

        return functools.wraps(original)(writer) if hasattr(original, "__name__") else writer

    @contextlib.contextmanager
    def _unpatched(self, holder: Any, name: str) -> Iterator[None]:
        """While this is open, `holder.name` is torch's own, if it is patched."""
        found = self._places.get((id(holder), name))
        if found is None or vars(holder).get(name) is not found[3]:
            yield
            return
        _, _, old, new = found
        _put(holder, name, old)
        try:
            yield
        finally:
            if _ABSENT is old or vars(holder).get(name) is old:
                setattr(holder, name, new)

    def _write_others(self, original: Any, by: str, target: Any, args: Any, kwargs: Any) -> Any:
        """Call `original` for a list of tensors, a subclass, or something that is no tensor."""
        targets = target if exactly(target, list, tuple) else (target,)
        if not all(is_tensor(each) for each in targets):
            # Such as torch.fx's Proxy, which records every attribute that is read from it.
            return original(*args, **kwargs)
        with Unnoticed():
            before = versions_of([*targets])
            data = self._data_of(target) if targets is not target else None
            memory = memory_of(data) if data is not None else None
        try:
            result = original(*args, **kwargs)
        except RuntimeError:
            for each in targets:
                self._on_refusal(each, by, sys._getframe(2))
            raise
        with Unnoticed():
            self.note(targets, before, by, depth=3, memory=memory)
        return result

    def _is_quiet(self) -> bool:
        return get_ident() in self.quiet

    def note(
        self,
        tensors: Any,
        before: Any,
        by: str,
        silent: bool = False,
        depth: int = 2,
        memory: Memory | None = None,
    ) -> None:
        """Log one write to `tensors`, whose versions were `before`. `silent`: no version counter
        shows it. `depth` is the caller's, as for `sys._getframe`; `memory`, what the tensor read
        before a silent one."""
        tracer = self._tracer
        written = []
        for tensor, old in zip(tensors, before, strict=True):
            new = version_of(tensor)
            key = storage_key(tensor)
            if key is not None and (silent or new != old):
                written.append((key, *byte_span(tensor), old, new))
                silent = silent or self._data_of(tensor) is not None
        if written:
            caller = sys._getframe(depth)
            spot = tracer.spot(caller)
            direct = spot is not None and caller.f_code is spot[0]
            # Each thread has its own count of nodes: a write in another one gets the last mark's.
            seq = tracer.seq()
            self._log.write(
                RawWrite(seq, spot, by, tuple(written), None, silent, direct, before=memory)
            )
            for each in self._log.on_write:
                each(tensors, spot, by, caller)

    def _note_place(self, target: Any, given: Any, caller: FrameType) -> None:
        """`target` was given what lay at a place: perhaps its own."""
        if given is not None and given == place_of(target):
            spot = self._tracer.spot(caller)
            if spot is not None:
                self._log.onto_itself[spot] += 1

    def _data_of(self, tensor: Any) -> Any:
        """What came from `.data`, if `tensor` did or is a view of it: its version counter is its
        own. None otherwise."""
        if not self._detached:
            return None
        base = base_of(tensor)
        for each in (tensor, base) if base is not None else (tensor,):
            if self._detached.get(each):
                return each
        return None

    def _watch_data(self, tensor: Any) -> None:
        """Patch `data`: `p.data = new` changes what a saved `p` reads, but no version counter."""
        import torch

        native: Any = torch._C.TensorBase.data

        def read(target: Any) -> Any:
            alias = native.__get__(target)
            if not self._is_quiet():
                self._detached.put(alias, True)
            return alias

        def assign(target: Any, new: Any) -> None:
            if self._is_quiet() or _FSDP in sys._getframe(1).f_code.co_filename:
                native.__set__(target, new)
                return
            with Unnoticed():
                memory, place = memory_of(target), place_of(target)
            with self._unpatched(tensor, "data"):
                native.__set__(target, new)
            with Unnoticed():
                versions = (version_of(target),)
                if memory is not None:
                    memory = memory._replace(reader=id(target))
                self.note((target,), versions, ".data = …", silent=True, memory=memory)
                self._note_place(target, place, sys._getframe(1))

        self._replace(tensor, "data", property(read, assign))

    def _watch_retained(self, tensor: Any) -> None:
        """Patch `retain_grad`: what a backward leaves in a result's `.grad` adds up, so that none
        may be run more than once from then on (optimizers/harm.py)."""
        original = tensor.retain_grad

        @functools.wraps(original)
        def retain_grad(*args: Any, **kwargs: Any) -> Any:
            self._log.hooks_used = True
            return original(*args, **kwargs)

        self._replace(tensor, "retain_grad", retain_grad)

    def _watch_batch_norm(self, torch: Any) -> None:
        """Patch batch_norm: in training, C++ writes its running statistics and bumps no version."""
        original = torch.batch_norm

        @functools.wraps(original)
        def batch_norm(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not self._is_quiet() and len(args) >= 6 and args[5] and args[3] is not None:
                stats = (args[3], args[4])
                with Unnoticed():
                    versions = versions_of([*stats])
                    self.note(stats, versions, message("observed.by.batch_norm"), silent=True)
            return result

        self._replace(torch, "batch_norm", batch_norm)


# FSDP's first wrapper, where it puts the whole parameter in its shard's place, and back: the values
# are the same.
_FSDP = os.path.join("torch", "distributed", "fsdp", "")


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
