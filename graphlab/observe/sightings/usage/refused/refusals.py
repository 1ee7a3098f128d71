"""Tells what an optimizer of torch's refused, when the program has ended with its error."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, GeneratorType
from typing import Any

import torch

from graphlab.observe.hooks.line_tracer import runs
from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.refusals.traceback import entries_of
from graphlab.observe.sightings.usage.refused.nothing_given import nothing_given
from graphlab.observe.sightings.usage.refused.steps import refused_step
from graphlab.observe.sightings.usage.refused.strangers import strangers_given
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, grad_of, is_tensor
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import stores
from graphlab.source.files import UserFiles
from graphlab.source.objects import attribute, class_name, is_a, item, items, length
from graphlab.source.places import expression_of
from graphlab.source.wording import call_text
from graphlab.trace.model import Location
from graphlab.trace.sightings import OptimizerRefused


class RefusedOptimizers:
    """Handles calls of a GradScaler's unscale_() as well, of which it refuses the second."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._found: OptimizerRefused | None = None
        # The lines of the last unscale_() and of the one before, by the optimizer.
        self._unscaled: dict[int, tuple[Spot | None, Spot | None]] = {}
        watched.tracer.handle(torch.amp.GradScaler.unscale_, self._on_unscale, "call")

    def _on_unscale(self, frame: FrameType, event: str, arg: Any) -> None:
        key, outer = id(frame.f_locals.get("optimizer")), frame.f_back
        last = self._unscaled.get(key, (None, None))[0]
        self._unscaled[key] = self._watched.tracer.spot(outer) if outer is not None else None, last

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the error tells."""

    def found(self) -> Iterator[OptimizerRefused]:
        if self._found is not None:
            yield self._found

    def raised(self, error: BaseException) -> None:
        """The program has ended with `error`."""
        registry = self._watched.ledger.registry
        self._found = refused_optimizer(
            error,
            self._watched.files,
            lambda optimizer: registry.state(optimizer).spot,
            lambda optimizer: self._unscaled.get(id(optimizer), (None, None))[1],
        )


def refused_optimizer(
    error: BaseException,
    files: UserFiles,
    built: Callable[[Any], Spot | None],
    unscaled: Callable[[Any], Spot | None],
) -> OptimizerRefused | None:
    """What an optimizer or a GradScaler refused with `error`; None if it was neither. `built` and
    `unscaled` tell the line that made an optimizer, and the unscale_() before its last."""
    entries = entries_of(error.__traceback__)
    mine = [at for at, (each, _) in enumerate(entries) if each.f_code in files]
    below = [each for each, _ in entries[mine[-1] + 1 :]] if mine else []
    inner = below[-1] if below else None
    optimizer = inner.f_locals.get("self") if inner is not None else None
    if not mine:
        return None
    frame, offset = entries[mine[-1]]
    with Unnoticed():
        told = refused_step(error, frame, offset, below, files, _told_to_be_sparse)
        if told is not None or inner is None:
            return told
        if is_a(optimizer, torch.amp.GradScaler) and type(error) is RuntimeError:
            return _scaled(frame, offset, inner, unscaled)
        if runs(inner.f_code, torch.optim.Optimizer.__init__):
            if type(error) is ValueError and length(inner.f_locals.get("param_groups")) == 0:
                user = [entries[each] for each in reversed(mine)]
                return nothing_given(user, Names(files).gather(frame), files)
        elif is_a(optimizer, torch.optim.lr_scheduler.OneCycleLR) and type(error) is ValueError:
            return _over(frame, offset, inner, optimizer)
        elif is_a(optimizer, torch.optim.Optimizer) and type(error) is TypeError:
            return _nested(frame, offset, inner)
        elif runs(inner.f_code, torch.optim.LBFGS.__init__) and type(error) is ValueError:
            return _grouped(frame, offset, optimizer)
        elif is_a(optimizer, torch.optim.Optimizer):
            return _told(frame, offset, inner, optimizer, files, built)
        decayed = None
        if type(error) is RuntimeError:
            decayed = _decayed(frame, offset, below, files, built)
        return decayed or strangers_given(frame, offset, inner, built)
    return None


def _decayed(
    frame: FrameType,
    offset: int,
    below: list[FrameType],
    files: UserFiles,
    built: Callable[[Any], Spot | None],
) -> OptimizerRefused | None:
    """A step that was to decay weights whose gradient is sparse, in a function of torch's that one
    of its own optimizers calls."""
    if not str(below[-1].f_globals.get("__name__", "")).startswith("torch.optim."):
        return None
    owners = [each.f_locals.get("self") for each in below]
    optimizer = next((each for each in owners if is_a(each, torch.optim.Optimizer)), None)
    if optimizer is None:
        return None
    names = Names(files).gather(frame).tensors
    told = [
        names[id(each)].name or ""
        for _, group in items(attribute(optimizer, "param_groups"))
        if item(group, "weight_decay")
        for _, each in items(item(group, "params"))
        if _is_sparse(grad_of(each)) and id(each) in names
    ]
    at = located((frame.f_code, offset))
    call = call_text(at, "step")[0]
    if not told:
        return None
    return OptimizerRefused(at, call, "decays", tuple(told), located(built(optimizer)))


def _scaled(
    frame: FrameType, offset: int, inner: FrameType, unscaled: Callable[[Any], Spot | None]
) -> OptimizerRefused | None:
    """What a GradScaler refused: it unscales once for each step, and is updated after each."""
    name, optimizer = inner.f_code.co_name, inner.f_locals.get("optimizer")
    stage = item(inner.f_locals.get("optimizer_state"), "stage")
    # An enum of torch's own, whose members have these names.
    word = attribute(stage, "_name_")
    at = located((frame.f_code, offset))
    call = call_text(at, name)[0]
    if name in ("unscale_", "step") and word == "STEPPED":
        return OptimizerRefused(at, call, "not_updated", ())
    if name == "unscale_" and word == "UNSCALED":
        return OptimizerRefused(at, call, "unscaled", (), located(unscaled(optimizer)))
    return None


def _over(
    frame: FrameType, offset: int, inner: FrameType, scheduler: Any
) -> OptimizerRefused | None:
    """A one-cycle schedule that has come to its end, and was stepped once more."""
    total, count = attribute(scheduler, "total_steps"), attribute(scheduler, "last_epoch")
    if inner.f_code.co_name != "get_lr" or type(total) is not int or type(count) is not int:
        return None
    if count <= total:
        return None
    at = located((frame.f_code, offset))
    return OptimizerRefused(at, call_text(at, "step")[0], "over", (str(total),))


def _grouped(frame: FrameType, offset: int, optimizer: Any) -> OptimizerRefused | None:
    """LBFGS, which has one group of all parameters, was given several."""
    at = located((frame.f_code, offset))
    groups = [each for _, each in items(attribute(optimizer, "param_groups"))]
    if len(groups) < 2:
        return None
    keys = [key for key, _ in items(groups[0]) if key != "params"]
    apart = [key for key in keys if any(item(e, key) != item(groups[0], key) for e in groups)]
    told = (str(len(groups)), *map(str, apart))
    return OptimizerRefused(at, call_text(at, "LBFGS")[0], "grouped", told)


def _told(
    frame: FrameType,
    offset: int,
    inner: FrameType,
    optimizer: Any,
    files: UserFiles,
    built: Callable[[Any], Spot | None],
) -> OptimizerRefused | None:
    code: CodeType = frame.f_code
    at, name = located((code, offset)), inner.f_code.co_name
    if name == "add_param_group":
        call, why, found = "add_param_group", "repeated", _repeated(optimizer, inner)
    elif name == "load_state_dict":
        sizes = _sizes(inner)
        call = call_text(at, name)[0]
        return (
            OptimizerRefused(at, call, "sizes", sizes, located(built(optimizer))) if sizes else None
        )
    elif name == "_init_group":
        # Private to torch: where each optimizer collects the gradients of a step.
        found = [each for each in parameters_of(optimizer) if _is_sparse(grad_of(each))]
        call, why = "step", "sparse"
    else:
        return None
    names = Names(files).gather(frame).tensors
    told = [names[id(each)].name or "" for each in found if id(each) in names]
    if not told:
        return None
    where = loaded_files(files, frame)
    cause = _told_to_be_sparse(told[0], where) if why == "sparse" else None
    return OptimizerRefused(at, call_text(at, call)[0], why, tuple(told), cause)


def _nested(frame: FrameType, offset: int, inner: FrameType) -> OptimizerRefused | None:
    """``Adam([net.parameters(), scale])``: one of the parameters is several of them."""
    given = [each for _, each in items(item(inner.f_locals.get("param_group"), "params"))]
    call = expression_of(frame.f_code, offset)
    written = call.args[0] if isinstance(call, ast.Call) and call.args else None
    if inner.f_code.co_name != "add_param_group" or not isinstance(written, ast.List | ast.Tuple):
        return None
    if len(given) != len(written.elts):
        return None
    for each, node in zip(given, written.elts, strict=True):
        if type(each) in (GeneratorType, list, tuple) or is_a(each, torch.nn.ParameterList):
            at = located((frame.f_code, offset))
            kind = class_name(each)
            return OptimizerRefused(at, _called(at, call), "nested", (ast.unparse(node), kind))
    return None


def _called(at: Location | None, call: ast.expr | None) -> str:
    return f"{ast.unparse(call.func)}()" if isinstance(call, ast.Call) else ""


def _repeated(optimizer: Any, inner: FrameType) -> list[Any]:
    """The parameters of the group that is added which a group before it has."""
    before = {id(each) for each in parameters_of(optimizer)}
    given = items(item(inner.f_locals.get("param_group"), "params"))
    return [each for _, each in given if id(each) in before]


def _sizes(inner: FrameType) -> tuple[str, ...]:
    """How many parameters the first group has that does not fit, and how many were saved of it; of
    different numbers of groups, how many those are."""
    own, saved = inner.f_locals.get("groups"), inner.f_locals.get("saved_groups")
    if length(own) != length(saved):
        return f"{length(own)}", f"{length(saved)}", "groups"
    for (_, one), (_, other) in zip(items(own), items(saved), strict=True):
        sizes = length(item(one, "params")), length(item(other, "params"))
        if sizes[0] != sizes[1]:
            return f"{sizes[0]}", f"{sizes[1]}", "parameters"
    return ()


def _is_sparse(grad: Any) -> bool:
    return is_tensor(grad) and bool(grad.is_sparse)


def _told_to_be_sparse(name: str, where: list[str]) -> Location | None:
    """The line that makes the embedding whose weight is called `name`, with sparse=True."""
    module = name.split(".")[-2] if "." in name else ""
    found = [
        each
        for file in where
        for each in stores(file)
        if each.value is not None
        and any(
            isinstance(node, ast.keyword) and node.arg == "sparse" for node in ast.walk(each.value)
        )
    ]
    named = [each for each in found if each.name == module]
    for group in (named, found):
        if len(group) == 1:
            return group[0].at
    return None
