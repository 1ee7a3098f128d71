"""Notices hooks that compute what is to take the place of a tensor, and do not return it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.idle.unreturned import unreturned
from graphlab.trace.sightings import HookUnreturned

# Which argument the hook may give another value, counted from its end.
_HOOKS = (
    (torch.Tensor, "register_hook", -1),
    (torch.nn.Module, "register_forward_hook", -1),
    (torch.nn.Module, "register_forward_pre_hook", -1),
    (torch.nn.Module, "register_full_backward_hook", -2),
    (torch.nn.Module, "register_full_backward_pre_hook", -1),
)
# How many arguments such a hook is called with.
_ARGUMENTS = {
    "register_hook": 1,
    "register_forward_hook": 3,
    "register_forward_pre_hook": 2,
    "register_full_backward_hook": 3,
    "register_full_backward_pre_hook": 2,
}


class HookResults:
    def __init__(self, watched: Watched) -> None:
        self._files = watched.files
        # The codes of hooks, each with the name of the call that added it.
        self._codes: dict[CodeType, str] = {}
        for kind, name, _ in _HOOKS:
            function = getattr(kind, name, None)
            if function is not None:
                watched.tracer.handle(function, partial(self._added, name), "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the functions are asked for at the end."""

    def _added(self, call: str, frame: FrameType, event: str, arg: Any) -> None:
        values = frame.f_locals
        hook: Any = values.get("hook")
        # With these the arguments are others.
        if values.get("with_kwargs"):
            return
        bound = type(hook) is MethodType
        function: Any = hook.__func__ if type(hook) is MethodType else hook
        if type(function) is not FunctionType:
            return
        code = function.__code__
        if code.co_argcount - bound == _ARGUMENTS[call] and code in self._files:
            self._codes.setdefault(code, call)

    def found(self) -> Iterator[HookUnreturned]:
        for code, call in self._codes.items():
            at = next(place for _, name, place in _HOOKS if name == call)
            parameter = code.co_varnames[: code.co_argcount][at]
            found = unreturned(code.co_filename, code.co_firstlineno, code.co_name, parameter)
            if found is not None:
                yield HookUnreturned(found.at, found.function, found.name, call)
