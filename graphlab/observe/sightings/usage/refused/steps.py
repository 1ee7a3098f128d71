"""Tells what an optimizer's step, the unscaling or the clipping before it was refused for: a
closure that is missing or returns nothing, a rate that is no number, gradients of a type or a
layout that are not taken."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FrameType, FunctionType, MethodType
from typing import Any

import torch

from graphlab.observe.names import Names
from graphlab.observe.notes import located
from graphlab.observe.tensors import dtype_of, grad_of, is_leaf, is_tensor
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import stores_named
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles
from graphlab.source.objects import attribute, is_a, item, items
from graphlab.source.places import expression_of, line_place, nodes_of, parse, place
from graphlab.source.wording import call_text
from graphlab.trace.model import Location
from graphlab.trace.sightings import OptimizerRefused

_CLIPS = ("clip_grad_value_", "clip_grad_norm_")


def refused_step(
    error: BaseException,
    frame: FrameType,
    offset: int,
    below: list[FrameType],
    files: UserFiles,
    sparse: Callable[[str, list[str]], Location | None],
) -> OptimizerRefused | None:
    """What was refused of the call at `offset` of the user's `frame`, in torch's frames `below`.
    `sparse` finds the line that asks for the sparse gradients of a parameter."""
    at = located((frame.f_code, offset))
    names = [each.f_code.co_name for each in below]
    clip = next((each for each in below if each.f_code.co_name in _CLIPS), None)
    if clip is not None and isinstance(error, RuntimeError):
        told = _sparse_ones(clip, frame, files)
        cause = sparse(told[0], loaded_files(files, frame)) if told else None
        call = call_text(at, clip.f_code.co_name)[0]
        return OptimizerRefused(at, call, "clips_sparse", told, cause) if told else None
    if not below:
        return _without_closure(error, frame, offset, at)
    last = below[-1]
    if type(error) is ValueError and names[-1] == "_unscale_grads_":
        given = last.f_locals.get("param")
        if is_tensor(given) and dtype_of(given) == "float16":
            told = _named([given], frame, files)
            call = call_text(at, names[0])[0]
            return OptimizerRefused(at, call, "half", told, _halved(frame, files))
    optimizer = next((each for each in map(_stepped, below) if each is not None), None)
    if optimizer is None or type(error) is not TypeError:
        return None
    call = call_text(at, "step")[0]
    if is_a(optimizer, torch.optim.LBFGS):
        inside = last.f_code.co_name == "step"
        return _closure(at, call, last) if inside else _without_closure(error, frame, offset, at)
    rates = [item(group, "lr") for _, group in items(attribute(optimizer, "param_groups"))]
    if any(type(each) in (list, tuple) for each in rates):
        kind = next(type(each) for each in rates if type(each) in (list, tuple)).__name__
        return OptimizerRefused(at, call, "rates", (kind,), _set(frame, files))
    return None


def _stepped(frame: FrameType) -> Any:
    """The optimizer that a frame of torch's is a step of."""
    given = frame.f_locals.get("self")
    if given is None:
        given = item(frame.f_locals.get("args"), 0)
    return given if is_a(given, torch.optim.Optimizer) else None


def _without_closure(
    error: BaseException, frame: FrameType, offset: int, at: Location | None
) -> OptimizerRefused | None:
    """``optimizer.step()`` of an LBFGS, whose own step() has not begun."""
    node = expression_of(frame.f_code, offset)
    if type(error) is not TypeError or not isinstance(node, ast.Call) or node.args or node.keywords:
        return None
    func = node.func
    if not isinstance(func, ast.Attribute) or func.attr != "step":
        return None
    if not is_a(in_frame(func.value, frame), torch.optim.LBFGS):
        return None
    return OptimizerRefused(at, call_text(at, "step")[0], "no_closure", ())


def _closure(at: Location | None, call: str, last: FrameType) -> OptimizerRefused | None:
    """LBFGS needs a loss from its closure."""
    if last.f_code.co_name != "step":
        given = item(last.f_locals.get("args"), 1)
        return (
            OptimizerRefused(at, call, "no_closure", ())
            if type(given) is not FunctionType
            else None
        )
    if "orig_loss" not in last.f_locals or last.f_locals["orig_loss"] is not None:
        return None
    closure: Any = last.f_locals.get("closure")
    # torch has wrapped it, to let it compute gradients.
    inner = getattr(closure, "__wrapped__", closure)
    inner = inner.__func__ if type(inner) is MethodType else inner
    code = inner.__code__ if type(inner) is FunctionType else None
    cause = line_place(code.co_filename, code.co_firstlineno, code.co_qualname) if code else None
    name = code.co_name if code is not None else "closure"
    return OptimizerRefused(at, call, "no_loss", (f"{name}()",), cause)


def _sparse_ones(clip: FrameType, frame: FrameType, files: UserFiles) -> tuple[str, ...]:
    """The parameters with sparse gradients: what was clipped may be a generator, used up by now."""
    grads = [each for _, each in items(clip.f_locals.get("grads"))]
    sparse = {id(each) for each in grads if is_tensor(each) and each.is_sparse}
    names = Names(files).gather(frame)
    held = [each for several in names.storages.values() for each in several if is_leaf(each[0])]
    return tuple(named.name for tensor, named in held if id(grad_of(tensor)) in sparse)


def _named(found: list[Any], frame: FrameType, files: UserFiles) -> tuple[str, ...]:
    names = Names(files).gather(frame).tensors
    told = [names[id(each)].name or "" for each in found if id(each) in names]
    return tuple(each for each in told if each)


def _halved(frame: FrameType, files: UserFiles) -> Location | None:
    """The one line that turns a module's weights into float16."""
    found = [
        place(node, file)
        for file in loaded_files(files, frame)
        for node in nodes_of(parse(file))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _halves(node)
    ]
    weights = [each for each in found if not _is_of_data(each)]
    return weights[0] if len(weights) == 1 else None


def _halves(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    if call.func.attr == "half":
        return not call.args
    given = [*call.args, *(word.value for word in call.keywords)]
    told = [ast.unparse(each) for each in given]
    return call.func.attr == "to" and not {"torch.float16", "torch.half"}.isdisjoint(told)


def _is_of_data(at: Location) -> bool:
    """Whether the line makes tensors half, not a module."""
    return any(word in at.code for word in ("randn(", "rand(", "zeros(", "ones(", "tensor("))


def _set(frame: FrameType, files: UserFiles) -> Location | None:
    """The one line that sets a rate."""
    found = [each.at for file in loaded_files(files, frame) for each in stores_named(file, "lr")]
    return found[0] if len(found) == 1 else None
