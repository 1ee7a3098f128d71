"""Follows nothing in what torch runs around its autograd engine.

`loss.backward()` is a dozen calls of torch's own before the engine begins, each as dear as a line
of the user's where a trace function is told of it. In the engine hooks of the user's may run, which
are followed.
"""

from __future__ import annotations

import sys
from threading import get_ident
from typing import Any

import torch

from graphlab.observe.hooks.code_swap import Swap
from graphlab.observe.hooks.line_tracer import Following, LineTracer
from graphlab.observe.hooks.lines.anchors import Anchors
from graphlab.source.objects import exactly


class Prelude:
    """Swaps the code of `Tensor.backward` and of what runs the engine. Private to torch:
    `torch.autograd.graph._engine_run_backward`; without it all is followed."""

    def __init__(self, tracer: LineTracer) -> None:
        engine = getattr(torch.autograd.graph, "_engine_run_backward", None)
        self._tracer = tracer
        self._modes: Any = getattr(torch._C, "_is_torch_function_mode_enabled", lambda: True)
        self._engine = Swap(engine, self._engine_begins, self._engine_ended)
        self._called = Swap(torch.Tensor.backward, self._begins, self._ended)
        # While nothing is followed, handlers are called by what they handle.
        self._handled = Anchors(tracer, lambda each: each is torch.autograd.backward)

    def put_in(self) -> None:
        self._engine.put_in()
        self._handled.put_in()
        if self._engine.code is None or not self._handled.holds(torch.autograd.backward):
            return
        self._called.put_in()
        if self._called.code is not None:
            self._tracer.swapped(self._called.code)

    def take_out(self) -> None:
        """Safe to call twice."""
        for each in (self._called, self._handled, self._engine):
            each.take_out()

    def step_aside(self) -> None:
        for each in (self._called, self._handled, self._engine):
            each.step_aside()

    def step_back(self) -> None:
        for each in (self._called, self._handled, self._engine):
            each.step_back()

    def holds(self, function: Any) -> bool:
        """Whether the handlers of a function are called by itself."""
        return self._handled.holds(function)

    def _begins(self, loss: Any) -> Following | None:
        """`Tensor.backward` is called; its code is one of `LineTracer.swapped`."""
        own = self._tracer.followings.get(get_ident())
        if own is None or not own.silenced:
            return None
        own.silenced = False
        if not exactly(loss, torch.Tensor, torch.nn.Parameter) or self._modes():
            # A `__torch_function__` of the user's comes before the engine.
            self._tracer.go_on(own, False)
            return None
        own.in_prelude = True
        return own

    def _ended(self, own: Following | None, result: Any) -> None:
        if own is not None:
            own.in_prelude = False
            self._tracer.go_on(own, False)

    def _engine_begins(self, roots: Any) -> Following | None:
        own = self._tracer.followings.get(get_ident())
        if own is None or not own.in_prelude:
            return None
        own.in_prelude = False
        self._tracer.go_on(own, False)
        return own

    def _engine_ended(self, own: Following | None, result: Any) -> None:
        if own is not None:
            own.in_prelude = True
            if sys.gettrace() is own.trace:
                sys.settrace(None)
