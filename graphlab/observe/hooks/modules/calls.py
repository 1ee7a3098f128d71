"""Notes which module is running, and pauses a trace function inside torch's own modules.

The code of ``nn.Module.__call__`` is replaced while a session is open (code_swap.py). A module of
the user's that is called by one of torch's turns the trace function on again. What the calls inside
one of torch's modules note is learned, and then told from what that made (trees.py).
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from graphlab.language import message
from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import Following, LineTracer
from graphlab.observe.hooks.modules.quiet import QuietModules
from graphlab.observe.hooks.modules.trees import NONE, Trees
from graphlab.observe.notes import Log, RawModule
from graphlab.source.files import UserFiles


class ModuleCalls:
    """Install with `start()`, remove with `stop()`."""

    def __init__(self, log: Log, tracer: LineTracer, files: UserFiles) -> None:
        self._log, self._tracer, self._files = log, tracer, files
        self._quiet = QuietModules(tracer, files)
        self._trees = Trees(tracer, self._quiet)
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
        enter, leave = self._make()
        call = torch.nn.Module.__call__
        self._swap = swap = Swap(call, enter, leave, passed_by=self._trees.telling)
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
        files, quiet, getframe = self._files, self._quiet.holds, sys._getframe
        trees, tree_of, tree_left = self._trees.known, self._trees.of, self._trees.left
        users, telling = files.known, self._trees.telling
        switches = tracer.switches
        gettrace, settrace = sys.gettrace, sys.settrace
        # What RawModule(…) calls in turn.
        new = tuple.__new__

        def enter(module: Any) -> Any:
            own = followings.get(get_ident())
            if own is None:
                if switches:
                    tracer.elsewhere = True
                    return None
                own = follow(get_ident())
            if own.replays:
                return None
            now, marks, stack = seq(), own.marks, own.stack
            if marks and now < marks[-1][0]:
                # Another thread has got the identity of one that has ended.
                own = follow(get_ident())
                marks, stack = own.marks, own.stack
            depth = len(stack)
            traced, caller = False, None
            try:
                own.activity += 1
                if switches:
                    # A trace function has turned itself off for this function: who calls it?
                    caller, own.module_caller = own.module_caller, None
                    traced = caller is not None
                    if own.dark is not None:
                        wake(own)
                        traced = own.trace is not None and gettrace() is own.trace
                        if traced:
                            settrace(None)
                if caller is None:
                    caller = getframe(2)
                key = id(module)
                held = known.get(key)
                if held is None or held() is not module:
                    known[key] = weakref.ref(module)
                    trees.pop(key, None)
                code = caller.f_code
                known_user = users.get(code.co_filename)
                if code in files if known_user is None else known_user:
                    mark = now, code, caller.f_lasti, key
                    events.append(new(RawModule, (now, (code, mark[2]), key)))
                    tree = trees.get(key)
                    if tree is None:
                        tree = tree_of(module)
                    if tree is not NONE and own.tree is None:
                        own.tree, own.tree_mark, own.tree_at = tree, mark, len(marks)
                        if tree.ready:
                            own.replays = True
                            telling.append(own.ident)
                else:
                    # Called by torch: the user's line is still the one that the outer call is on.
                    _, here, offset, _ = stack[-1] if depth > 1 or not marks else marks[-1]
                    mark = now, here, offset, key
                stack.append(mark)
                marks.append(mark)
                if not switches:
                    return own
                still = quiet(module)
            except Exception as error:
                # An exception here would propagate into the user's program.
                del stack[depth:]
                own.tree = own.tree_mark = None
                own.replays = False
                telling[:] = [each for each in telling if each != own.ident]
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
            switched = type(token) is tuple
            own: Following = token[0] if switched else token
            stack = own.stack
            if len(stack) > 1:
                mark = stack.pop()
                if mark is own.tree_mark:
                    tree_left(own)
                _, here, offset, _ = mark
                own.marks.append((seq(), here, ~offset, stack[-1][3]))
            if switched and tracer.running:
                now = gettrace()
                if now is None or now is own.trace:
                    own.off_in_module = token[1] is None
                    settrace(token[1])

        return enter, leave
