"""Sees every in-place write that Python asks for.

Only writers are wrapped, never readers: Tensor's methods whose names end in an underscore, its
in-place operators, item assignment, the `data` attribute, and torch's functions that end in an
underscore. The wrapper compares the version counter before and after, so a name that merely looks
like a writer costs nothing more than that look.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterable
from threading import get_ident
from types import ModuleType
from typing import Any

from graphlab.observe.log import Log, RawWrite
from graphlab.observe.storage import byte_span, storage_key, version_of
from graphlab.observe.tracer import Tracer

_OPERATORS = tuple(
    f"__i{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    )
)
# These end in an underscore and write no element.
_NOT_WRITERS = {"requires_grad_", "retain_grad_", "rename_", "share_memory_", "detach_"}


_ABSENT = object()


class Writers:
    """Patches on `start()`, restores exactly what was there on `stop()`."""

    def __init__(self, log: Log, tracer: Tracer, on_refusal: Callable[..., None]) -> None:
        self._log = log
        self._tracer = tracer
        self._on_refusal = on_refusal
        self._undo: list[Callable[[], None]] = []
        self._detached: dict[int, weakref.ref[Any]] = {}
        # Nothing is noted while the observer itself is at work, nor in a step of this thread.
        self.quiet = 0
        self.quiet_thread = 0

    def start(self) -> None:
        import torch

        tensor = torch.Tensor
        names = [n for n in dir(torch._C.TensorBase) if n.endswith("_") and not n.endswith("__")]
        for name in (*names, *_OPERATORS, "__setitem__"):
            original = getattr(tensor, name, None)
            if callable(original) and name not in _NOT_WRITERS:
                self._replace(tensor, name, self._wrap(original, _spell(name)))
        native: Any = torch._C
        for module in (torch, native._nn, torch._VF):
            for name in self._function_names(module):
                original = getattr(module, name)
                wrapped = self._wrap(original, f"torch.{name}")
                self._replace(module, name, wrapped)
        self._watch_batch_norm(torch)
        self._watch_data(tensor)

    def stop(self) -> None:
        while self._undo:
            self._undo.pop()()

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
        own = vars(holder)
        old = own.get(name, _ABSENT)
        setattr(holder, name, new)

        def undo() -> None:
            if vars(holder).get(name) is not new:
                # The program has put something of its own there since.
                return
            if old is _ABSENT:
                delattr(holder, name)
            else:
                setattr(holder, name, old)

        self._undo.append(undo)

    def _wrap(self, original: Any, by: str) -> Any:
        noted = self.note

        def writer(target: Any, *args: Any, **kwargs: Any) -> Any:
            if self.quiet or self.quiet_thread == get_ident():
                return original(target, *args, **kwargs)
            several = isinstance(target, list | tuple)
            before = [version_of(t) for t in target] if several else version_of(target)
            try:
                result = original(target, *args, **kwargs)
            except RuntimeError:
                for each in target if several else (target,):
                    self._on_refusal(each, by, sys._getframe(1))
                raise
            if several:
                noted(target, before, by)
                return result
            if version_of(target) != before:
                noted((target,), (before,), by)
            return result

        return functools.wraps(original)(writer) if hasattr(original, "__name__") else writer

    def _is_quiet(self) -> bool:
        return bool(self.quiet) or self.quiet_thread == get_ident()

    def note(self, tensors: Any, before: Any, by: str, silent: bool = False) -> None:
        """Log one write to `tensors`, whose versions were `before`."""
        tracer = self._tracer
        written = []
        for tensor, old in zip(tensors, before, strict=True):
            new = version_of(tensor)
            key = storage_key(tensor)
            if key is not None and (silent or new != old):
                written.append((key, *byte_span(tensor), old, new))
                silent = silent or self._is_data(tensor)
        if written:
            caller = sys._getframe(2)
            spot = tracer.spot(caller)
            direct = spot is not None and caller.f_code is spot[0]
            # Each thread counts its own nodes: another's write belongs to this one's last mark.
            seq = tracer.seq() if get_ident() == tracer.thread else self._log.last_seq()
            self._log.write(RawWrite(seq, spot, by, tuple(written), None, silent, direct))

    def _is_data(self, tensor: Any) -> bool:
        """Whether `tensor` came from `.data`: it then has a version counter of its own."""
        if not self._detached:
            return False
        return id(tensor) in self._detached or id(tensor._base) in self._detached

    def _watch_data(self, tensor: Any) -> None:
        """`p.data = new` swaps what every saved reference to p reads, and moves no counter."""
        import torch

        native: Any = torch._C.TensorBase.data

        def read(target: Any) -> Any:
            alias = native.__get__(target)
            if not self._is_quiet():
                key = id(alias)
                self._detached[key] = weakref.ref(alias, lambda _: self._detached.pop(key, None))
            return alias

        def assign(target: Any, new: Any) -> None:
            native.__set__(target, new)
            if not self._is_quiet():
                self.note((target,), (version_of(target),), ".data = …", silent=True)

        self._replace(tensor, "data", property(read, assign))

    def _watch_batch_norm(self, torch: Any) -> None:
        """A train-mode batch norm writes its running statistics from C++, without a version."""
        original = torch.batch_norm

        @functools.wraps(original)
        def batch_norm(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if not self._is_quiet() and len(args) >= 6 and args[5] and args[3] is not None:
                stats = (args[3], args[4])
                versions = tuple(version_of(each) for each in stats)
                self.note(stats, versions, "batch norm's running statistics", silent=True)
            return result

        self._replace(torch, "batch_norm", batch_norm)


def _spell(name: str) -> str:
    """How a user reads a method: `add_`, `+=`, `x[...] = `."""
    symbols = {
        "add": "+=", "sub": "-=", "mul": "*=", "truediv": "/=", "floordiv": "//=", "mod": "%=",
        "pow": "**=", "matmul": "@=", "and": "&=", "or": "|=", "xor": "^=",
        "lshift": "<<=", "rshift": ">>=",
    }  # fmt: skip
    if name == "__setitem__":
        return "[…] = …"
    if name.startswith("__i"):
        return symbols[name[3:-2]]
    return f"{name}()"
