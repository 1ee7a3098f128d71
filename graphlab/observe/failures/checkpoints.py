"""A checkpoint whose second forward did not repeat the first, and the line that is to blame."""

from __future__ import annotations

import ast
import types
from types import FrameType
from typing import Any

from torch.utils import checkpoint as _checkpoint

from graphlab.language import message
from graphlab.observe.failures.call import Diagnosis, FailedCall
from graphlab.observe.failures.node import failed_node
from graphlab.observe.failures.passes import passes
from graphlab.observe.failures.state import blamed
from graphlab.observe.graph.walk import LEAF_SEQ, listed, sequence
from graphlab.observe.notes import CutAt
from graphlab.observe.tensors import is_module
from graphlab.source.objects import LOST, attributes, class_name, is_a, lookup, static
from graphlab.trace.model import FailedNode

_FILE = _checkpoint.__file__
_Error: Any = getattr(_checkpoint, "CheckpointError", ())
_Function: Any = getattr(_checkpoint, "CheckpointFunction", None)


def checkpoint_mismatch(call: FailedCall) -> Diagnosis | None:
    """None where the backward did not fail in a checkpoint, or it is not certain that this is
    why."""
    function, reentrant, inner = _checkpointed(call)
    if function is None and not reentrant:
        return None
    if reentrant and inner and (call.is_grad or listed(call.values.get("inputs"))):
        return _limited(call, function)
    sure = is_a(call.error, _Error) if _Error else False
    sure = sure or (reentrant and _inside_again(call))
    # Whatever the second pass itself raises, the first had passed; memory alone may have run out.
    if not sure and (not _raised_again(call) or class_name(call.error) == "OutOfMemoryError"):
        return None
    found = None
    if call.log is not None:
        found = passes(call.log, call.spot, _made(call), reentrant, call.elsewhere)
    blame = blamed(_bodies(function), found, call.files, call.log)
    cut = CutAt(blame.at, blame.by) if blame is not None else None
    key = "observed.checkpoint.again" if blame is None else "observed.checkpoint.changed"
    why = message(key, **({"why": blame.why} if blame is not None else {}))
    return Diagnosis("checkpoint", _node(call, function, why), cut=cut)


def in_checkpoint(frame: FrameType) -> bool:
    """Whether a reentrant checkpoint calls this backward from its own."""
    back = frame.f_back
    return back is not None and back.f_code is _code_of_backward()


def _checkpointed(call: FailedCall) -> tuple[Any, bool, bool]:
    """(the function of the innermost checkpoint that was running, whether it is a reentrant one,
    whether it was itself what raised)."""
    for at in reversed(range(len(call.below))):
        frame = call.below[at].frame
        if frame.f_code.co_filename != _FILE:
            continue
        space = frame.f_locals
        if frame.f_code is _code_of_backward():
            context = lookup("ctx", space)
            last = at == len(call.below) - 1
            return attributes(context).get("run_function"), True, last
        for name in ("frame", "self"):
            held = lookup(name, space)
            if held is not LOST and class_name(held) == "_CheckpointFrame":
                return _function_of(attributes(held).get("recompute_fn")), False, False
    return None, False, False


def _code_of_backward() -> Any:
    backward = attributes(_Function).get("backward") if _Function is not None else None
    function = backward.__func__ if type(backward) is staticmethod else backward
    return getattr(function, "__code__", None)


def _function_of(recompute: Any) -> Any:
    """What a checkpoint calls: its own function holds it in a closure."""
    if type(recompute) is not types.FunctionType:
        return None
    names = recompute.__code__.co_freevars
    for name, cell in zip(names, recompute.__closure__ or (), strict=False):
        if name in ("fn", "function"):
            try:
                return cell.cell_contents
            except ValueError:
                return None
    return None


def _made(call: FailedCall) -> int | None:
    """The sequence number of the node whose saved tensors were asked for."""
    nodes = call.possible if len(call.possible) == 1 else [call.stopped.surely]
    number = sequence(nodes[0]) if nodes[0] is not None else -1
    return number if 0 <= number < LEAF_SEQ else None


def _raised_again(call: FailedCall) -> bool:
    """Whether the user's line that raised was run by the checkpoint."""
    for entry in reversed(call.below):
        if entry.frame.f_code.co_filename == _FILE:
            return False
        if entry.frame.f_code in call.files:
            return True
    return False


def _inside_again(call: FailedCall) -> bool:
    """Whether a reentrant checkpoint's own backward was refused before it ran: its second forward
    gave other outputs than the first."""
    last = call.below[-1].frame if call.below else None
    if last is None or last.f_code is _code_of_backward():
        return last is not None
    return str(last.f_globals.get("__name__", "")).startswith("torch.autograd")


def _limited(call: FailedCall, function: Any) -> Diagnosis:
    """A reentrant checkpoint in a backward that is limited to some inputs."""
    node = next((each for each in call.possible), None) if len(call.possible) == 1 else None
    at = call.forward(node) if node is not None else None
    at = at or call.only_call(_reentrant)
    cut = CutAt(at, "use_reentrant=True") if at is not None else None
    return Diagnosis(
        "checkpoint", _node(call, function, message("observed.checkpoint.reentrant")), cut=cut
    )


def _reentrant(node: ast.Call) -> bool:
    return any(
        word.arg == "use_reentrant" and isinstance(word.value, ast.Constant) and word.value.value
        for word in node.keywords
    )


def _node(call: FailedCall, function: Any, why: str) -> FailedNode:
    found = failed_node(call)
    name = _called(call, function) or "a function"
    done = found.operation if found is not None else ""
    # Its line would be the one whose result was asked for first, which says nothing.
    return FailedNode(done, None, raised_at=call.raised_at, function=name, why=why)


def _called(call: FailedCall, function: Any) -> str:
    if is_module(function):
        return call.names.modules.get(id(function)) or class_name(function)
    body = _body(function)
    return f"{body.co_qualname.rpartition('<locals>.')[2]}()" if body is not None else ""


def _bodies(function: Any) -> list[types.CodeType]:
    body = _body(function)
    return [body] if body is not None else []


def _body(function: Any) -> types.CodeType | None:
    """The code that a checkpointed function runs, below what wraps it."""
    for _ in range(8):
        if is_module(function):
            found = static(type(function), "forward")
            return found.__code__ if type(found) is types.FunctionType else None
        if type(function) is types.MethodType:
            function = function.__func__
        elif type(function) is types.FunctionType:
            inner = function.__dict__.get("__wrapped__")
            if inner is None:
                return function.__code__
            function = inner
        elif class_name(function) == "partial":
            function = function.func
        else:
            return None
    return None
