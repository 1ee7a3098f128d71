"""Notes which module is running, and pauses the line tracer inside torch's own modules.

The code of ``nn.Module.__call__`` is replaced while a session is open (code_swap.py). A module of
the user's that is called by one of torch's turns the tracer on again.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.notes import Log, RawModule
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, is_a


class ModuleCalls:
    """Install with `start()`, remove with `stop()`."""

    def __init__(self, log: Log, tracer: LineTracer, files: UserFiles) -> None:
        self._log, self._tracer, self._files = log, tracer, files
        # By identity: a metaclass may have a hash of its own.
        self._quiet: dict[int, tuple[type, bool]] = {}
        self._swap: Swap | None = None

    def start(self) -> None:
        import torch

        # If `__call__` is not torch's own function, as under torch.fx, module calls are not noted.
        self._swap = swap = Swap(torch.nn.Module.__call__, *self._make())
        swap.put_in()
        if swap.code is not None:
            self._tracer.module_call_codes.add(swap.code)

    def stop(self) -> None:
        if self._swap is not None:
            self._swap.take_out()
            self._swap = None

    def step_aside(self) -> None:
        if self._swap is not None:
            self._swap.step_aside()

    def step_back(self) -> None:
        if self._swap is not None:
            self._swap.step_back()

    def _make(self) -> tuple[Callable[[Any], Any], Callable[[Any], None]]:
        tracer, quiet_types, is_quiet = self._tracer, self._quiet, self._is_quiet
        seq, marks, stack, events = tracer.seq, self._log.marks, tracer.stack, self._log.events
        known, thread, files = self._log.modules, tracer.thread, self._files
        gettrace, settrace = sys.gettrace, sys.settrace
        switch = tracer.trace

        def enter(module: Any) -> Any:
            if get_ident() != thread:
                tracer.elsewhere = True
                return _ELSEWHERE
            # Set by the tracer, which has turned itself off for this function.
            frame, tracer.module_caller = tracer.module_caller, None
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
                kind = type(module)
                answer = quiet_types.get(id(kind))
                if answer is None:
                    answer = quiet_types[id(kind)] = kind, is_quiet(kind)
                quiet = answer[1]
                if quiet:
                    own = module.__dict__
                    quiet = not (
                        own.get("_forward_hooks")
                        or own.get("_forward_pre_hooks")
                        or "forward" in own
                    )
            except Exception as error:
                # An exception here would propagate into the user's program.
                del stack[depth:]
                if frame is not None:
                    settrace(switch)
                tracer.guard(error)
                return _ELSEWHERE
            if frame is not None:
                if quiet:
                    tracer.off_in_module = True
                    return switch
                settrace(switch)
            elif not quiet and tracer.off_in_module and gettrace() is None:
                tracer.off_in_module = False
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
                    tracer.off_in_module = token is None
                    settrace(token)

        return enter, leave

    def _is_quiet(self, kind: type) -> bool:
        """Whether a call of this class runs no code of the user's: neither it nor a base class in
        the user's files defines a method other than `__init__`."""
        for base in kind.__mro__:
            if base is object:
                continue
            path = attributes(sys.modules.get(base.__module__)).get("__file__")
            if type(path) is not str or path in self._files:
                members = (m for name, m in attributes(base).items() if name != "__init__")
                if any(inspect.isroutine(m) or is_a(m, property) for m in members):
                    return False
        return True


_ELSEWHERE, _AS_IT_WAS = object(), object()
