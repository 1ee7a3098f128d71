"""Explains an exception that ends in the gradient of a parameter which no backward has reached."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import torch

from graphlab.observe.iterations import Iterations
from graphlab.observe.lineage.cut import cut_among, lineage_of, making
from graphlab.observe.lineage.returned import TORCH
from graphlab.observe.lineage.trail import Trail
from graphlab.observe.names import parameters_in, parameters_of
from graphlab.observe.notes import Log, RawBackward, RawRefused, located
from graphlab.observe.optimizers.never_called import never_called
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.refusals.refused_call import RefusedCall
from graphlab.observe.refusals.traceback import ErrorTraceback
from graphlab.observe.sightings.state.replaced import replacing
from graphlab.observe.tensors import describe, grad_of, is_parameter, is_tensor, requires_grad
from graphlab.source.effects.origins import loaded_files
from graphlab.source.files import UserFiles, installed
from graphlab.source.objects import is_a
from graphlab.source.places import locate
from graphlab.source.wording import call_text
from graphlab.trace.model import Location


def missing_gradient(
    error: BaseException,
    files: UserFiles,
    log: Log,
    iterations: Iterations,
    registry: OptimizerRegistry,
) -> RawRefused | None:
    """What `error` is about, if it is that: told of parameters that an optimizer holds."""
    if not isinstance(error, AttributeError | TypeError | AssertionError | ValueError):
        return None
    tb = ErrorTraceback.of(error, files)
    if tb is None or tb.caller is None or tb.at is None:
        return None
    if isinstance(error, AssertionError):
        parameters, by = _of_scaler(tb), call_text(tb.at, "step")[0]
    elif isinstance(error, ValueError):
        parameters, by = _of_library(tb), call_text(tb.at, "step")[0]
    else:
        parameters, by = _of_attribute(RefusedCall(tb, files))
        if parameters and _plain(parameters[0]):
            return _of_plain(parameters[0], by, tb, files, log, iterations)
    reached = {
        place for each in log.events if isinstance(each, RawBackward) for place in each.reached
    }
    held = registry.places()
    for each in parameters:
        known = registry.known(each)
        if id(each) not in held or not requires_grad(each) or (known is not None and known.seen):
            return None
        if registry.place_of(each, None) in reached:
            return None
    if not parameters:
        return None
    named = tb.names.tensors.get(id(parameters[0]))
    known = registry.info_of(registry.place_of(parameters[0], None))
    name, owner = (named.name, named.owner) if named is not None else (known.name, known.owner)
    info = describe(parameters[0], name, "parameter", owner)
    replaced = _replaced(parameters[0], known.name, tb, registry, files)
    at, made = replaced or _why(tb, {id(each) for each in parameters}, files, log)
    frame, offset = tb.caller
    return RawRefused(
        log.last_seq(), (frame.f_code, offset), by, info, "no-gradient",
        iterations.iteration(frame), at, None, made,
    )  # fmt: skip


def _plain(tensor: Any) -> bool:
    """Whether it is a leaf, no parameter of a module, that does not require grad and could."""
    floats = tensor.is_floating_point() or tensor.is_complex()
    return floats and not requires_grad(tensor) and not is_parameter(tensor)


def _of_plain(
    tensor: Any,
    by: str,
    tb: ErrorTraceback,
    files: UserFiles,
    log: Log,
    iterations: Iterations,
) -> RawRefused | None:
    """Of a tensor that nobody told to require grad, by the name that the reader of its gradient
    has for it."""
    named = tb.names.tensors.get(id(tensor))
    if named is None or named.name is None or tb.caller is None:
        return None
    frame, offset = tb.caller
    made = making(frame, named.name, files, locate(frame.f_code, offset).line)
    info = describe(tensor, named.name, "input", named.owner)
    return RawRefused(
        log.last_seq(), (frame.f_code, offset), by, info, "no-gradient",
        iterations.iteration(frame), made, None, "",
    )  # fmt: skip


def _of_scaler(tb: ErrorTraceback) -> list[Any]:
    """The parameters of the optimizer that a GradScaler was to step, if none has a gradient."""
    frame = tb.entries[-1].frame
    path = frame.f_code.co_filename.replace("\\", "/")
    if frame.f_code.co_name != "step" or not path.endswith("torch/amp/grad_scaler.py"):
        return []
    parameters = parameters_of(frame.f_locals.get("optimizer"))
    return [] if any(grad_of(each) is not None for each in parameters) else parameters


def _of_library(tb: ErrorTraceback) -> list[Any]:
    """The one parameter that an optimizer of an installed package's refused to step, in a function
    of its own: as one for differential privacy, which needs a gradient of each sample."""
    frame = tb.entries[-1].frame
    code = frame.f_code
    own = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    library = installed(code.co_filename) and not code.co_filename.startswith(TORCH)
    if not library or not is_a(own, torch.optim.Optimizer):
        return []
    given = [each for each in frame.f_locals.values() if is_parameter(each)]
    return given if len(given) == 1 else []


def _of_attribute(call: RefusedCall) -> tuple[list[Any], str]:
    """The parameter whose gradient the user's expression uses as a tensor, and how that is
    written."""
    for node in _used(call.node):
        while isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        if isinstance(node, ast.Attribute) and node.attr == "grad":
            for value in call.values(node.value):
                if is_tensor(value) and grad_of(value) is None:
                    return [value], ast.unparse(node)
    return [], ""


def _used(node: ast.AST | None) -> Iterator[ast.AST]:
    """What an expression does something with: what it takes an attribute of, its operands."""
    if isinstance(node, ast.Attribute):
        yield node.value
    elif isinstance(node, ast.Call):
        yield from node.args
        if isinstance(node.func, ast.Attribute):
            yield node.func.value
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.AugAssign):
        yield from (node.target, node.value)


def _replaced(
    parameter: Any,
    name: str | None,
    tb: ErrorTraceback,
    registry: OptimizerRegistry,
    files: UserFiles,
) -> tuple[Location, str] | None:
    """The one line that put something else in the place of a parameter which no module has any
    more, by the `name` that it had when the optimizer was built."""
    modules = tb.names.held_modules()
    if name is None or any(each is parameter for each in parameters_in(*modules)):
        return None
    spots = [registry.states[at].spot for at in registry.places().get(id(parameter), ())]
    built = located(spots[0]) if spots else None
    here = tb.caller[0] if tb.caller is not None else None
    kept = int(name.partition(".")[0] in tb.names.modules.values())
    # The file that runs comes first: what else is loaded may know nothing of this program.
    running = [tb.caller[0].f_code.co_filename] if tb.caller is not None else []
    found = replacing(name, kept, built, running) or replacing(
        name, kept, built, loaded_files(files, here)
    )
    return (found[0].at, found[0].at.code) if len(found) == 1 else None


def _why(
    tb: ErrorTraceback, missing: set[int], files: UserFiles, log: Log
) -> tuple[Location | None, str]:
    """The line that cut the last loss off from some of the parameters `missing`, given by identity,
    or else that built what forward goes past."""
    record = next(
        (each for each in reversed(log.events) if isinstance(each, RawBackward) and each.spot), None
    )
    for entry in tb.entries if record is not None else ():
        assert record is not None and record.spot is not None
        if entry.frame.f_code is not record.spot[0]:
            continue
        try:
            loss = ast.parse(record.loss, mode="eval").body
        except SyntaxError:
            break
        trail = Trail(thorough=True)
        lineage_of(entry.frame, files, trail).value(loss, locate(*record.spot).line)
        cut = cut_among(trail, missing)
        if cut is not None:
            return cut.location(), cut.by
    return never_called(missing, tb.names, log, files), ""
