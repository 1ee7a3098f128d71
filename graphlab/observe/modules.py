"""Notes which module is at work, and stops the line tracer where no line of the user's can run.

``nn.Module.__call__`` keeps its identity (torch.compile compares it) and is given other code while
a session is open. Inside a module of torch's own the tracer is off: a module of the user's below it
turns it on again.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from types import FunctionType
from typing import Any

from graphlab.observe.log import Log, RawModule
from graphlab.observe.source import UserFiles
from graphlab.observe.tracer import Tracer


def _call(self: Any, *args: Any, **kwargs: Any) -> Any:
    # The strings stand for what `_with` puts in their place: this code runs with torch's globals.
    enter: Any = "<enter>"
    leave: Any = "<leave>"
    original: Any = "<original>"
    token = enter(self)
    try:
        return original(self, *args, **kwargs)
    finally:
        leave(token)


def _with(**values: Any) -> Any:
    code = _call.__code__
    constants = tuple(
        values.get(each[1:-1], each) if isinstance(each, str) else each for each in code.co_consts
    )
    return code.replace(co_consts=constants)


class Modules:
    """Install with `start()`, remove with `stop()`."""

    def __init__(self, log: Log, tracer: Tracer, files: UserFiles) -> None:
        self._log, self._tracer, self._files = log, tracer, files
        self._quiet: dict[type, bool] = {}
        self._undo: Callable[[], None] = _nothing

    def start(self) -> None:
        import torch

        function: Any = torch.nn.Module.__call__
        if not isinstance(function, FunctionType) or function.__closure__:
            # Replaced by something else, such as a tracer of torch's: modules go without names.
            return
        before = function.__code__
        original = FunctionType(before, function.__globals__, function.__name__)
        enter, leave = self._make()
        mine = function.__code__ = _with(enter=enter, leave=leave, original=original)
        self._tracer.doors.add(mine)

        def undo() -> None:
            if function.__code__ is mine:
                function.__code__ = before

        self._undo = undo

    def stop(self) -> None:
        self._undo()
        self._undo = _nothing

    def _make(self) -> tuple[Callable[[Any], Any], Callable[[Any], None]]:
        tracer, quiet_types, is_quiet = self._tracer, self._quiet, self._is_quiet
        seq, marks, stack, events = tracer.seq, self._log.marks, tracer.stack, self._log.events
        known, thread, files = self._log.modules, tracer.thread, self._files
        gettrace, settrace = sys.gettrace, sys.settrace
        switch = tracer.trace

        def enter(module: Any) -> Any:
            if get_ident() != thread:
                return _ELSEWHERE
            # The frame that calls, where the tracer is on: it went off to let us work unseen.
            frame, tracer.knocked = tracer.knocked, None
            depth = len(stack)
            try:
                key = id(module)
                held = known.get(key)
                if held is None or held() is not module:
                    known[key] = weakref.ref(module)
                if frame is not None and frame.f_code.co_filename in files:
                    here, offset = frame.f_code, frame.f_lasti
                    events.append(RawModule(seq(), (here, offset), key))
                elif depth > 1:
                    # Called by torch: the user's line is still the one that the outer call is on.
                    here, offset, _ = stack[-1]
                else:
                    here, offset = tracer.last_spot()
                stack.append((here, offset, key))
                marks.append((seq(), here, offset, key))
                quiet = quiet_types.get(type(module))
                if quiet is None:
                    quiet = quiet_types[type(module)] = is_quiet(type(module))
                if quiet:
                    own = module.__dict__
                    quiet = not (
                        own.get("_forward_hooks")
                        or own.get("_forward_pre_hooks")
                        or "forward" in own
                    )
            except Exception as error:
                # It would end in the program.
                del stack[depth:]
                if frame is not None:
                    settrace(switch)
                tracer.guard(error)
                return _ELSEWHERE
            if frame is not None:
                if quiet:
                    tracer.hushed = True
                    return switch
                settrace(switch)
            elif not quiet and tracer.hushed and gettrace() is None:
                tracer.hushed = False
                settrace(switch)
                return None
            return _AS_IT_WAS

        def leave(token: Any) -> None:
            if token is _ELSEWHERE:
                return
            if len(stack) > 1:
                here, offset, _ = stack.pop()
                marks.append((seq(), here, ~offset, stack[-1][2]))
            if token is not _AS_IT_WAS and tracer.running:
                now = gettrace()
                if now is None or now is switch:
                    tracer.hushed = token is None
                    settrace(token)

        return enter, leave

    def _is_quiet(self, kind: type) -> bool:
        """Whether none of the user's code runs in a call of this class: neither it nor a base of
        it outside the libraries defines more than a constructor."""
        for base in kind.__mro__:
            if base is object:
                continue
            path = getattr(sys.modules.get(base.__module__), "__file__", None)
            if path is None or path in self._files:
                members = (m for name, m in vars(base).items() if name != "__init__")
                if any(inspect.isroutine(m) or isinstance(m, property) for m in members):
                    return False
        return True


_ELSEWHERE, _AS_IT_WAS = object(), object()


def _nothing() -> None:
    """While no session is open."""
