"""Notes calls that a later refusal is about: inference_mode's blocks and full backward hooks.

Both are rare, so a handler costs a healthy loop nothing that can be measured.
"""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.notes import GuardPlace, Log
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes

# How many runs of one guard are remembered: the first ones, and the last.
_FIRST, _LAST = 16, 64


class RareCalls:
    """Registers its handlers in `tracer.handlers`."""

    def __init__(self, log: Log, tracer: LineTracer, files: UserFiles) -> None:
        import torch

        self._log, self._tracer, self._files = log, tracer, files
        self._open: list[tuple[GuardPlace, int]] = []
        guard = torch.inference_mode
        modules = torch.nn.modules.module
        self._register(getattr(guard, "__enter__", None), self._entered)
        self._register(getattr(guard, "__exit__", None), self._left)
        for name in ("register_full_backward_hook", "register_full_backward_pre_hook"):
            self._register(getattr(torch.nn.Module, name, None), self._hooked)
        self._register(
            getattr(modules, "register_module_full_backward_hook", None), self._hooked_all
        )

        for function in (
            torch.Tensor.register_hook,
            getattr(torch.Tensor, "register_post_accumulate_grad_hook", None),
            getattr(torch.autograd.graph, "register_multi_grad_hook", None),
        ):
            self._register(function, self._any_hook)

    def _any_hook(self, frame: FrameType, event: str, arg: Any) -> None:
        self._log.hooks_used = True

    def _register(self, function: Any, handler: Any) -> None:
        if function is not None:
            self._tracer.handle(function, handler)

    def _entered(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call" or attributes(frame.f_locals.get("self")).get("mode") is not True:
            return
        place = self._place(frame.f_back)
        if place is not None:
            self._open.append((place, self._log.count()))

    def _left(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call" or attributes(frame.f_locals.get("self")).get("mode") is not True:
            return
        if not self._open:
            return
        place, first = self._open.pop()
        runs = self._log.guards.setdefault(place, [])
        if len(runs) >= _FIRST + _LAST:
            del runs[_FIRST]
        runs.append((first, self._log.count()))

    def _place(self, frame: FrameType | None) -> GuardPlace | None:
        """The line of a ``with``, or the function that is decorated."""
        if frame is None:
            return None
        function = frame.f_locals.get("func")
        code = getattr(function, "__code__", None)
        if frame.f_code.co_filename.endswith("_contextlib.py") and code is not None:
            return (code, None) if code in self._files else None
        spot = self._tracer.spot(frame)
        return (spot[0], spot[1]) if spot is not None else None

    def _hooked(self, frame: FrameType, event: str, arg: Any) -> None:
        module, spot = frame.f_locals.get("self"), self._tracer.spot(frame.f_back)
        self._log.hooks_used = True
        if event == "call" and spot is not None:
            self._log.hooked.setdefault(id(module), (weakref.ref(module), spot))

    def _hooked_all(self, frame: FrameType, event: str, arg: Any) -> None:
        self._log.hooks_used = True
        spot = self._tracer.spot(frame.f_back)
        if event == "call" and spot is not None and self._log.hooked_all is None:
            self._log.hooked_all = spot
