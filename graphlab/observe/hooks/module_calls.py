"""Notes which module is running, and pauses a trace function inside torch's own modules.

The code of ``nn.Module.__call__`` is replaced while a session is open (code_swap.py). A module of
the user's that is called by one of torch's turns the trace function on again.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from graphlab.language import message
from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import Following, LineTracer
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
        self._rests = False

    left_out: str = message("observed.budget.module_calls")

    def rest(self) -> None:
        """Note no more calls."""
        self._rests = True
        self.stop()

    def start(self) -> None:
        if self._rests:
            return
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

    def _make(self) -> tuple[Callable[[Any], Any], Callable[[Any, Any], None]]:
        tracer = self._tracer
        seq, events, known = tracer.seq, self._log.events, self._log.modules
        followings, follow, wake = tracer.followings, tracer.follow, tracer.wake
        files, quiet, getframe = self._files, self._is_quiet, sys._getframe
        users = files.known
        switches = tracer.switches
        gettrace, settrace = sys.gettrace, sys.settrace

        def enter(module: Any) -> Any:
            own = followings.get(get_ident())
            if own is None:
                if switches:
                    tracer.elsewhere = True
                    return None
                own = follow(get_ident())
            now, marks = seq(), own.marks
            if marks and now < marks[-1][0]:
                # Another thread has got the identity of one that has ended.
                own = follow(get_ident())
                marks = own.marks
            stack = own.stack
            depth = len(stack)
            # A trace function has turned itself off for this function, and says who calls it.
            frame, own.module_caller = own.module_caller, None
            traced = frame is not None
            try:
                own.activity += 1
                if own.dark is not None:
                    wake(own)
                    traced = own.trace is not None and gettrace() is own.trace
                    if traced:
                        settrace(None)
                caller = frame if frame is not None else getframe(2)
                key = id(module)
                held = known.get(key)
                if held is None or held() is not module:
                    known[key] = weakref.ref(module)
                code = caller.f_code
                known_user = users.get(code.co_filename)
                if code in files if known_user is None else known_user:
                    here, offset = code, caller.f_lasti
                    events.append(RawModule(now, (here, offset), key))
                elif depth > 1:
                    # Called by torch: the user's line is still the one that the outer call is on.
                    here, offset, _ = stack[-1]
                else:
                    here, offset = marks[-1][1:3] if marks else (None, 0)
                stack.append((here, offset, key))
                marks.append((now, here, offset, key))
                if not switches:
                    return own
                still = quiet(module)
            except Exception as error:
                # An exception here would propagate into the user's program.
                del stack[depth:]
                if traced:
                    settrace(own.trace)
                tracer.guard(error)
                return None
            if traced:
                if still:
                    own.off_in_module = True
                    return own, own.trace
                settrace(own.trace)
            elif not still and own.off_in_module and gettrace() is None:
                own.off_in_module = False
                settrace(own.trace)
                return own, None
            return own

        def leave(token: Any, result: Any) -> None:
            if token is None:
                return
            own: Following
            own, *switch = token if type(token) is tuple else (token,)
            stack = own.stack
            if len(stack) > 1:
                here, offset, _ = stack.pop()
                own.marks.append((seq(), here, ~offset, stack[-1][2]))
            if switch and tracer.running:
                now = gettrace()
                if now is None or now is own.trace:
                    own.off_in_module = switch[0] is None
                    settrace(switch[0])

        return enter, leave

    def _is_quiet(self, module: Any) -> bool:
        """Whether a call of this module runs no code of the user's."""
        kind = type(module)
        answer = self._quiet.get(id(kind))
        if answer is None:
            answer = self._quiet[id(kind)] = kind, self._quiet_class(kind)
        if not answer[1]:
            return False
        own = module.__dict__
        return not (own.get("_forward_hooks") or own.get("_forward_pre_hooks") or "forward" in own)

    def _quiet_class(self, kind: type) -> bool:
        """Whether neither this class nor a base class in the user's files defines a method other
        than `__init__`, and the tracer handles none of its own methods."""
        handled = {*map(id, self._tracer.handled)}
        for base in kind.__mro__:
            # Module's own, such as zero_grad, are not called in a forward.
            if base is object or base.__module__ == "torch.nn.modules.module":
                continue
            path = attributes(sys.modules.get(base.__module__)).get("__file__")
            members = [m for name, m in attributes(base).items() if name != "__init__"]
            if type(path) is not str or path in self._files:
                if any(inspect.isroutine(m) or is_a(m, property) for m in members):
                    return False
            elif handled and any(id(m) in handled for m in members):
                return False
        return True
