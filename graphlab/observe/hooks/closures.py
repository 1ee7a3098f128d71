"""Tells when an optimizer's step() calls the closure that it was given, and when that has returned.

The closure itself is left as it is: a wrapper would be seen by the optimizer and in tracebacks.
Instead, the block of `torch.enable_grad` that every optimizer has around the call is followed, as
a step runs with gradients switched off. A step without one tells nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

from graphlab.source.objects import attributes, exactly

# How many wrappers of a closure are looked through.
_DEPTH = 16


class ClosureCalls:
    """Calls `enters(frame)` and `left(frame)` as a block of `torch.enable_grad` in a frame begins,
    and as it ends without an exception."""

    def __init__(
        self, enters: Callable[[FrameType], None], left: Callable[[FrameType], None]
    ) -> None:
        self._enters, self._left = enters, left
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        import torch

        block: Any = torch.enable_grad
        enter, leave = vars(block).get("__enter__"), vars(block).get("__exit__")
        if not isinstance(enter, FunctionType) or not isinstance(leave, FunctionType):
            return

        def on_enter(this: Any) -> Any:
            result = enter(this)
            self._enters(sys._getframe(1))
            return result

        def on_exit(this: Any, kind: Any, value: Any, traceback: Any) -> Any:
            result = leave(this, kind, value, traceback)
            if kind is None:
                self._left(sys._getframe(1))
            return result

        for name, old, new in (("__enter__", enter, on_enter), ("__exit__", leave, on_exit)):
            setattr(block, name, new)
            self._undo.append(partial(_restore, block, name, old, new))

    def stop(self) -> None:
        while self._undo:
            self._undo.pop()()


def _restore(block: Any, name: str, old: Any, new: Any) -> None:
    if vars(block).get(name) is new:
        setattr(block, name, old)


def outside(frame: FrameType | None, closure: Any, step: int) -> FrameType | None:
    """The frame with the `id()` `step`, if `frame` runs in it but not inside the closure."""
    code = code_of_call(closure)
    if code is None:
        return None
    while frame is not None:
        if frame.f_code is code:
            return None
        if id(frame) == step:
            return frame
        frame = frame.f_back
    return None


def code_of_call(closure: Any) -> CodeType | None:
    """The code that runs when a closure is called, less what torch's own decorators put around it.
    None if it is not Python's."""
    from torch.utils import _contextlib

    for _ in range(_DEPTH):
        if exactly(closure, partial):
            closure = closure.func
        elif exactly(closure, MethodType):
            closure = closure.__func__
        elif exactly(closure, FunctionType):
            if closure.__code__.co_filename != _contextlib.__file__:
                return closure.__code__
            closure = attributes(closure).get("__wrapped__")
        else:
            closure = _call_of(type(closure))
    return None


def _call_of(kind: type) -> Any:
    """What calling an instance runs."""
    for each in kind.__mro__:
        if "__call__" in vars(each):
            return vars(each)["__call__"]
    return None
