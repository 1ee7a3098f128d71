"""Tells which custom Function was refused, as its class lacks what a transform of torch.func needs,
or as the program calls an object of the class."""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, located
from graphlab.observe.refusals.traceback import TracebackEntry, entries_of
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles
from graphlab.source.objects import attribute, is_a, static, variables
from graphlab.source.places import expression_of, nodes_of, parse, place
from graphlab.trace.functions.sightings import FunctionUnfit
from graphlab.trace.values import Location

_Base: Any = torch.autograd.Function
_BuiltIn: Any = type(len)


class TransformsRefused:
    def __init__(self, watched: Watched) -> None:
        self._files = watched.files
        self._found: FunctionUnfit | None = None

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the error tells."""

    def found(self) -> Iterator[FunctionUnfit]:
        if self._found is not None:
            yield self._found

    def raised(self, error: BaseException) -> None:
        """The program has ended with `error`."""
        self._found = function_unfit(error, self._files)


def function_unfit(error: BaseException, files: UserFiles) -> FunctionUnfit | None:
    """The custom Function that `error` was raised of; None if it is another error."""
    if type(error) is not RuntimeError:
        return None
    with Unnoticed():
        return _told(entries_of(error.__traceback__), files, str(error))


def _told(entries: list[TracebackEntry], files: UserFiles, said: str) -> FunctionUnfit | None:
    mine = [each for each in entries if each[0].f_code in files]
    if not mine:
        return None
    last, at = entries[-1]
    values = last.f_locals
    kind: Any
    # The two places in which torch itself raises, by what only they have.
    if not _raises(last, at) and (kind := applied(last, at)) is not None:
        # Since torch 2.15 `apply` is C++, which has no frame: its message tells what was missed.
        lacks = "setup_context"
        apart = lacks not in said
    elif not _raises(last, at):
        return None
    elif last.f_code is getattr(_Base.__call__, "__code__", None):
        return _object_called(type(values.get("self")), mine[-1], files)
    elif last.f_code is getattr(_Base.apply, "__code__", None):
        kind = values.get("cls")
        lacks = "setup_context"
        apart = values.get("is_setup_ctx_defined") is not False
    else:
        kind, lacks = values.get("autograd_function"), "vmap"
        apart = last.f_code.co_name != "custom_function_call_vmap"
    own = static(kind, lacks) if is_a(kind, type) else None
    missing = own is not None and own is static(_Base, lacks)
    ruled = lacks == "vmap" and attribute(kind, "generate_vmap_rule") is True
    if apart or not missing or ruled:
        return None
    name = type.__dict__["__name__"].__get__(kind)
    frame, lasti = mine[-1]
    call_at = located((frame.f_code, lasti))
    return FunctionUnfit(_defined(kind, name, files), call_at, f"{name}.apply()", name, lacks)


def _object_called(kind: Any, call: TracebackEntry, files: UserFiles) -> FunctionUnfit | None:
    """``Name()(x)``, as Functions were called before torch made their methods static."""
    if static(kind, "__call__") is not static(_Base, "__call__"):
        return None
    name, (frame, lasti) = type.__dict__["__name__"].__get__(kind), call
    call_at = located((frame.f_code, lasti))
    node = expression_of(frame.f_code, lasti)
    written = f"{ast.unparse(node.func)}()" if isinstance(node, ast.Call) else f"{name}()()"
    return FunctionUnfit(_defined(kind, name, files), call_at, written, name, "apply")


def applied(frame: FrameType, offset: int) -> Any:
    """The class whose ``apply``, if it is C++, a frame called: in so many words, or by a variable
    that holds it."""
    node = expression_of(frame.f_code, offset)
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and called.attr == "apply":
        return in_frame(called.value, frame)
    held = [each for each in variables(frame.f_locals).values() if type(each) is _BuiltIn]
    kinds = {id(each.__self__): each.__self__ for each in held if each.__name__ == "apply"}
    return next(iter(kinds.values())) if len(kinds) == 1 else None


def _raises(frame: FrameType, offset: int) -> bool:
    """Whether it is a ``raise`` that raised, not what the frame had called: torch's own apply()."""
    return dis.opname[frame.f_code.co_code[offset]] == "RAISE_VARARGS"


def _defined(kind: Any, name: str, files: UserFiles) -> Location | None:
    """The line ``class Name(Function):``."""
    forward = getattr(attribute(kind, "forward"), "__code__", None)
    if forward is None or forward not in files:
        return None
    for node in nodes_of(parse(forward.co_filename)):
        if not isinstance(node, ast.ClassDef) or node.name != name:
            continue
        if node.lineno <= forward.co_firstlineno <= (node.end_lineno or 0):
            inside = forward.co_qualname.rpartition(".")[0]
            return place(node, forward.co_filename, inside)
    return None
