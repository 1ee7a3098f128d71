"""Calls the handlers of torch's functions from those functions themselves, by swapping their code.

For where no event tells that such a function is called: lines are not followed, or an exception
leaves it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import Following, LineTracer


class Anchors:
    """Swaps what `tracer.handled` has, or what of it is `chosen`. Each call wakes the tracer."""

    def __init__(self, tracer: LineTracer, chosen: Callable[[Any], bool] = lambda each: True):
        self._tracer, self._chosen = tracer, chosen
        self._swaps: list[Swap] = []
        self._aside = False

    def put_in(self) -> None:
        """Swap, unless that is done."""
        if self._swaps:
            return
        for function in self._tracer.handled:
            if self._chosen(function):
                code = function.__code__
                if id(code) in self._tracer.handlers:
                    swap = Swap(function, *self._calls(code))
                    self._swaps.append(swap)
                    swap.put_in()
                    if swap.code is not None:
                        self._tracer.swapped(swap.code)
                    if self._aside:
                        swap.step_aside()

    def drop(self, function: Any) -> None:
        """Restore one function."""
        for swap in self._swaps:
            if swap.holds(function):
                swap.take_out()

    def take_out(self) -> None:
        """Restore every function. Safe to call twice."""
        for swap in self._swaps:
            swap.take_out()
        self._swaps = []

    def step_aside(self) -> None:
        """Restore every function until `step_back`."""
        self._aside = True
        for swap in self._swaps:
            swap.step_aside()

    def step_back(self) -> None:
        """Swap again what `step_aside` has restored."""
        self._aside = False
        for swap in self._swaps:
            swap.step_back()

    def holds(self, function: Any) -> bool:
        """Whether the function's code is swapped."""
        return any(swap.holds(function) for swap in self._swaps)

    def _calls(
        self, code: CodeType
    ) -> tuple[
        Callable[[Any], Following | None],
        Callable[[Following | None, Any], None],
        Callable[[Following | None], None],
    ]:
        tracer, getframe = self._tracer, sys._getframe
        call_handlers, silence, go_on = tracer.call_handlers, tracer.silence, tracer.go_on
        blind = tracer.blind
        # What runs in such a function is torch's alone.
        block = code in tracer.blocks
        returns = bool(tracer.handlers[id(code)]["return"])

        # None of them may hand the frame out: it would keep its own variables alive.
        def enter(first: Any) -> Following | None:
            if not tracer.follows_here():
                tracer.elsewhere = True
                return None
            own = tracer.here()
            tracer.wake(own)
            silenced = silence(own)
            if not silenced and blind(own):
                return None
            call_handlers(code, getframe(1), "call", None)
            if silenced:
                go_on(own, block)
            return own

        def leave(own: Following | None, result: Any) -> None:
            if own is not None and returns:
                silenced = silence(own)
                call_handlers(code, getframe(1), "return", result)
                if silenced:
                    go_on(own, False)

        def fail(own: Following | None) -> None:
            if own is not None:
                silenced = silence(own)
                call_handlers(code, getframe(1), "exception", sys.exc_info())
                if silenced:
                    go_on(own, False)

        return enter, leave, fail
