"""Takes the patches out while torch.compile or torch.jit compiles, or a part of torch is imported.

Both keep references to torch's functions and must find the original ones.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from graphlab.language import message
from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.process_state import PROCESS

COMPILED = message("observed.unseen.compiled")


class StandAside:
    """Calls `begin` when a compilation starts and `end(guarded)` when the outermost one is over.

    `guarded`: there is compiled code whose guards compare the functions it calls by identity.

    Rests on Dynamo's compilation callbacks (private to torch), available once Dynamo is imported;
    without them there is a graph break at every in-place write in a compiled region.
    """

    def __init__(
        self, begin: Callable[[], None], end: Callable[[bool], None], tracer: LineTracer
    ) -> None:
        self._begin, self._end, self._tracer = begin, end, tracer
        self._depth = 0
        # Whether the tracer is paused because a part of torch is imported.
        self._paused = False
        self._imports = LateImports(self._import_begins, self._import_ended)
        self._listening = self._skipped = False
        self._undo: list[Callable[[], None]] = []
        self.seen = 0

    def start(self) -> None:
        import torch

        self._imports.start()
        for name in ("script", "trace"):
            # Dynamo puts a wrapper of its own around one of them.
            self._surround(inspect.unwrap(getattr(torch.jit, name)))
        # Dynamo takes seconds to import: only a program that needs it pays for it.
        self._listen()
        if compiled_before():
            self._enter()
            self._leave(True)

    def stop(self) -> None:
        self._imports.stop()
        while self._undo:
            self._undo.pop()()
        self._listening = False

    def _surround(self, function: Any) -> None:
        """Swap its code: torch.jit.script finds the caller's variables by counting frames, so that
        there must be none more."""

        def enter(first: Any) -> bool:
            self._enter()
            return True

        def leave(entered: bool, result: Any) -> None:
            self._leave(self.seen > 0 or compiled_before())

        swap = Swap(function, enter, leave)
        swap.put_in()
        self._undo.append(swap.take_out)

    def _wrap(self, holder: Any, name: str, around: Callable[..., Any]) -> None:
        original = getattr(holder, name)
        held = [around]

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return held[0](original, *args, **kwargs) if held else original(*args, **kwargs)

        def undo() -> None:
            # A reference to the wrapper that somebody kept then calls the original alone.
            held.clear()
            if getattr(holder, name) is wrapped:
                setattr(holder, name, original)

        setattr(holder, name, wrapped)
        self._undo.append(undo)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._begin()

    def _leave(self, guarded: bool) -> None:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._end(guarded)

    def _import_begins(self) -> None:
        if self._depth == 0:
            self._paused = self._tracer.pause()
        self._enter()

    def _import_ended(self) -> None:
        self._listen()
        self._leave(self.seen > 0 or compiled_before())
        if self._depth == 0 and self._paused:
            self._paused = False
            self._tracer.resume()

    def _listen(self) -> None:
        """Wrap the functions that run Dynamo's callbacks: torch._dynamo.reset() would remove a
        callback that was registered."""
        self._skip_own_code()
        callbacks = sys.modules.get("torch._dynamo.callback")
        handler = getattr(callbacks, "CompilationCallbackHandler", None)
        if self._listening or handler is None:
            return
        self._listening = True
        for name, around in (
            ("run_start_callbacks", self._started),
            ("run_end_callbacks", self._ended),
        ):
            if hasattr(handler, name):
                self._wrap(handler, name, around)

    def _skip_own_code(self) -> None:
        """Keep Dynamo from compiling graphlab's functions. Private to torch:
        `torch._dynamo.eval_frame.skip_code`."""
        frames = sys.modules.get("torch._dynamo.eval_frame")
        skip = getattr(frames, "skip_code", None)
        if skip is not None and not self._skipped:
            self._skipped = True
            if len(sys.modules) == PROCESS.modules:
                # Nothing was imported since another session has done it.
                return
            PROCESS.modules = len(sys.modules)
            # What was skipped once stays so in this process.
            new = [each for each in own_modules() if each.__name__ not in PROCESS.skipped]
            PROCESS.skipped.update(each.__name__ for each in new)
            for code in code_in(new):
                skip(code)

    def _started(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self.seen += 1
        self._enter()
        return original(*args, **kwargs)

    def _ended(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self._leave(True)
        return original(*args, **kwargs)


def compiled_before() -> bool:
    """Whether Dynamo has compiled anything that is alive. Private to torch:
    `torch._dynamo.convert_frame.output_codes`."""
    converter = sys.modules.get("torch._dynamo.convert_frame")
    codes = getattr(getattr(converter, "output_codes", None), "seen", ())
    return any(each() is not None for each in codes)


def own_modules() -> list[ModuleType]:
    """graphlab's loaded modules."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "graphlab" and module is not None
    ]


def code_in(modules: list[ModuleType]) -> list[CodeType]:
    """The code objects of all functions and methods of these modules of graphlab's."""
    found: dict[int, CodeType] = {}
    holders: list[Any] = [*modules]
    known = {id(each) for each in holders}
    for holder in holders:
        for value in list(vars(holder).values()):
            if isinstance(value, property):
                value = value.fget
            code = getattr(getattr(value, "__func__", value), "__code__", None)
            if isinstance(code, CodeType):
                _with_inner(code, found)
            mine = isinstance(value, type) and value.__module__.partition(".")[0] == "graphlab"
            if mine and id(value) not in known:
                known.add(id(value))
                holders.append(value)
    return [*found.values()]


def _with_inner(code: CodeType, found: dict[int, CodeType]) -> None:
    found[id(code)] = code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            _with_inner(each, found)


class LateImports:
    """A meta path finder that calls `begin` and `end` around imports of torch's submodules, such
    as `torch._dynamo`, which the first optimizer step of a program imports."""

    def __init__(self, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self._begin, self._end = begin, end

    def start(self) -> None:
        sys.meta_path.insert(0, self)

    def stop(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith("torch."):
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if finder is not self and find is not None else None
            if spec is not None:
                self._wrap(spec)
                return spec
        return None

    def _wrap(self, spec: ModuleSpec) -> None:
        """Wrap `exec_module` for this one call; the loader object itself stays in the spec."""
        loader: Any = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None or not hasattr(loader, "__dict__"):
            return

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            self._begin()
            try:
                execute(module)
            finally:
                self._end()

        loader.exec_module = exec_module
