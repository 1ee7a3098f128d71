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
from graphlab.observe.hooks.line_tracer import LineTracer


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
                    if self._aside:
                        swap.step_aside()

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
    ) -> tuple[Callable[[Any], bool], Callable[[bool, Any], None], Callable[[bool], None]]:
        tracer, getframe = self._tracer, sys._getframe
        call_handlers = tracer.call_handlers

        # None of them may hand the frame out: it would keep its own variables alive.
        def enter(first: Any) -> bool:
            followed = tracer.follows_here()
            if followed:
                tracer.wake(tracer.here())
                call_handlers(code, getframe(1), "call", None)
            else:
                tracer.elsewhere = True
            return followed

        def leave(followed: bool, result: Any) -> None:
            if followed:
                call_handlers(code, getframe(1), "return", result)

        def fail(followed: bool) -> None:
            if followed:
                call_handlers(code, getframe(1), "exception", sys.exc_info())

        return enter, leave, fail
