"""Tells of a module whether a call of it runs no code of the user's."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, is_a


class QuietModules:
    def __init__(self, tracer: LineTracer, files: UserFiles) -> None:
        self._tracer, self._files = tracer, files
        # By identity: a metaclass may have a hash of its own.
        self._known: dict[int, tuple[type, bool]] = {}

    def holds(self, module: Any) -> bool:
        """Whether a call of this module runs no code of the user's."""
        kind = type(module)
        answer = self._known.get(id(kind))
        if answer is None:
            answer = self._known[id(kind)] = kind, self._quiet_class(kind)
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
