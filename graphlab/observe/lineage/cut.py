"""Finds the line at which a loss lost its graph."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

import torch

from graphlab.observe.lineage.freezing.frozen import frozen_by
from graphlab.observe.lineage.freezing.handed import froze_again, handed_to_library, rebound
from graphlab.observe.lineage.grad_mode import (
    ENABLED,
    UNKNOWN,
    mode_at,
    off_in_library,
    switched_off,
)
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.lineage.trail import Result, Trail
from graphlab.observe.names import Names, parameters_in, parameters_of
from graphlab.observe.notes import Cut, Log
from graphlab.observe.tensors import is_module, is_tensor, requires_grad
from graphlab.source.effects.assignments import scope_of, target_names
from graphlab.source.effects.stores import last_part
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import variables
from graphlab.source.places import locate, nodes_of, parse, statement_at
from graphlab.source.wording import call_at, loss_in
from graphlab.trace.model import Location

# (frame, line that it was at), the innermost first.
Stack = Sequence[tuple[FrameType, int]]

# Calls that give indices.
_INDICES = ("argmax", "argmin", "argsort", "searchsorted", "nonzero", "multinomial")
# Of how many of the optimizers' parameters it is asked what froze them.
_SOME = 8


def find_cut(
    frame: FrameType | None,
    loss: str,
    files: UserFiles,
    line: int | None = None,
    stack: Stack | None = None,
    log: Log | None = None,
) -> Cut | None:
    """Where the value of the expression `loss` in the user's `frame` lost its graph. `line` is
    where that value was used, the frame's own line if None. `stack` has the frames of a traceback,
    the innermost first, with the line of each: they have ended by now, and the guards that were on
    are known from their source alone."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    trail = Trail(refused=True)
    lineage = lineage_of(frame, files, trail)
    around = _around(frame, files) if stack is None else _left_behind(frame, files, stack)
    if stack is not None:
        trail.grad_enabled = around is None
    value = lineage.value(expression, line or frame.f_lineno)
    found = settled(value, trail, frame, files, log)
    if isinstance(found, Cut):
        return found
    if (
        around is not None
        or (value is not None and found is not None)
        or not torch.is_grad_enabled()
    ):
        return around if isinstance(around, Cut) else None
    return all_frozen(frame, files, log)


def settled(
    found: Result, trail: Trail, frame: FrameType, files: UserFiles, log: Log | None
) -> Result:
    """A result as it is told: where a frozen module made it, the line that froze that, None if
    that is not found."""
    for cut, module in trail.frozen:
        if found is cut:
            return _frozen(module, frame, files, log)
    for cut, module in trail.cut_before:
        # A network that an optimizer trains, and that was fed something detached on purpose.
        if found is cut and _is_trained(module, frame, files):
            return _frozen(module, frame, files, log) or cut
    return found


def all_frozen(
    frame: FrameType, files: UserFiles, log: Log | None, by_library: bool = False
) -> Cut | None:
    """The statement that froze all that the optimizers own, or all modules where nothing was left
    for an optimizer to own: whatever the loss was computed from, none of that could give it a
    graph. by_library: a library computes the loss and steps, with an optimizer of its own."""
    names = Names(files).gather(frame)
    optimizers = names.held_optimizers()
    owned = [p for optimizer in optimizers for p in parameters_of(optimizer)]
    if not owned and (optimizers or by_library):
        # What the function that trains was given, before what other functions keep.
        mine = [each for each in variables(frame.f_locals).values() if is_module(each)]
        owned = parameters_in(*mine) or parameters_in(*names.held_modules())
    if not owned or any(requires_grad(each) for each in owned):
        return None
    some = owned[:: len(owned) // _SOME + 1]
    cuts = [frozen_by(each, frame, files, log) for each in [*some, owned[-1]]]
    places = {cut.location() if cut is not None else None for cut in cuts}
    if places == {None}:
        return handed_to_library(frame, files, owned)
    cut = cuts[0]
    if cut is None or len(places) > 1:
        return None
    return froze_again(frame, files, cut, owned) or cut


def _frozen(module: Any, frame: FrameType, files: UserFiles, log: Log | None) -> Cut | None:
    """The statement that froze a module: of several, the one of its last parameter, which is its
    head's as a rule."""
    parameters = [each for each in parameters_in(module) if not requires_grad(each)]
    if not parameters:
        return None
    found = frozen_by(parameters[-1], frame, files, log)
    again = froze_again(frame, files, found, parameters) if found is not None else None
    return (
        again
        or found
        or rebound(frame, files, parameters)
        or handed_to_library(frame, files, parameters)
    )


def frozen_called(tensor: Any, stack: list[tuple[FrameType, int]], files: UserFiles) -> Cut | None:
    """The statement that froze all of a module whose call made a tensor and now runs its hooks:
    `stack` has the calls, from the inside out."""
    for frame, _ in stack:
        module, made = frame.f_locals.get("self"), frame.f_locals.get("result")
        if made is tensor and is_tensor(tensor) and is_module(module):
            own = parameters_in(module)
            frozen = own and not any(requires_grad(each) for each in own)
            return _frozen(module, stack[0][0], files, None) if frozen else None
    return None


def _is_trained(module: Any, frame: FrameType, files: UserFiles) -> bool:
    """Whether an optimizer that the frames can reach holds the parameters of a module."""
    held = {
        id(p)
        for optimizer in Names(files).gather(frame).held_optimizers()
        for p in parameters_of(optimizer)
    }
    return any(id(p) in held for p in parameters_in(module))


def cut_before(
    frame: FrameType | None, loss: str, files: UserFiles, parameters: set[int]
) -> Cut | None:
    """Where, on the way to the expression `loss` in the user's `frame`, a graph was dropped that
    led to some of `parameters`, given by identity, or to modules with those."""
    trails = trails_before(frame, loss, files)
    return next((cut for each in trails if (cut := cut_among(each, parameters))), None)


def trails_before(frame: FrameType | None, loss: str, files: UserFiles) -> Iterator[Trail]:
    """What a thorough search meets on the way to the expression `loss` in the user's `frame`, and
    then on the way to the arguments that its callers have given for it."""
    frame = user_frame(frame, files)
    line: int | None = None
    call = call_at(locate(frame.f_code, frame.f_lasti)) if frame is not None else None
    if call is not None and loss not in {ast.unparse(each) for each in ast.walk(call)}:
        # A helper of the user's has its own word for it, and a library's loop none.
        mine = loss_in(call)
        if mine is None:
            return
        loss = ast.unparse(mine)
    while frame is not None:
        try:
            expression = ast.parse(loss, mode="eval").body
        except SyntaxError:
            return
        trail = Trail(thorough=True)
        lineage_of(frame, files, trail).value(expression, line or frame.f_lineno)
        yield trail
        # An argument of the function that calls backward was computed by its caller.
        outer = caller_argument(frame, loss, files)
        if outer is None:
            return
        frame, loss = outer


def cut_among(trail: Trail, parameters: set[int]) -> Cut | None:
    """The first cut on a trail that some of `parameters`, given by identity, were behind; one that
    gives indices only where there is no other: what they choose may have its own way to the loss,
    which the other ends."""
    cuts = [
        cut
        for cut, found in trail.cuts
        if any(id(p) in parameters for each in found for p in _parameters(each))
    ]
    return next((each for each in cuts if not _gives_indices(each)), cuts[0] if cuts else None)


def _gives_indices(cut: Cut) -> bool:
    return cut.by.removesuffix("()").rsplit(".", 1)[-1] in _INDICES


def _parameters(found: Any) -> list[Any]:
    return [found] if is_tensor(found) else parameters_in(found)


def caller_argument(frame: FrameType, name: str, files: UserFiles) -> tuple[FrameType, str] | None:
    """The user's frame that calls the function of `frame`, and what it hands to the argument
    `name`, as written; None if that is no argument or it cannot be told."""
    code = frame.f_code
    parameters = list(code.co_varnames[: code.co_argcount])
    caller = user_frame(frame.f_back, files)
    statement = statement_at(caller.f_code.co_filename, caller.f_lineno) if caller else None
    if name not in parameters or caller is None or statement is None:
        return None
    bound = parameters[1:] if parameters[:1] in (["self"], ["cls"]) else parameters
    calls = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and last_part(node.func) == code.co_name
    ]
    given = argument_of(calls[0], name, bound) if len(calls) == 1 else None
    return (caller, ast.unparse(given)) if given is not None else None


def argument_of(call: ast.Call, name: str, parameters: list[str]) -> ast.expr | None:
    """What a call hands to the parameter `name`, one of `parameters` in their order."""
    for word in call.keywords:
        if word.arg == name:
            return word.value
    at = parameters.index(name) if name in parameters else -1
    if any(isinstance(each, ast.Starred) for each in call.args[: at + 1]):
        return None
    return call.args[at] if 0 <= at < len(call.args) else None


def making(
    frame: FrameType | None, name: str, files: UserFiles, line: int | None = None
) -> Location | None:
    """The statement of `frame` that gave `name` the value that it had at `line`, the frame's own
    line if None."""
    if frame is None or not name:
        return None
    lineage = lineage_of(frame, files)
    return _made(lineage, name, line or frame.f_lineno)


def _left_behind(frame: FrameType, files: UserFiles, stack: Stack) -> Cut | str | None:
    """What disabled gradients at the call in `frame`, by the source around each line of `stack`: a
    guard; UNKNOWN, if a block that is not known is around one; None, if nothing did."""
    at = next((i for i, (each, _) in enumerate(stack) if each is frame), 0)
    unknown: str | None = None
    for each, line in stack[at:]:
        code = each.f_code
        if code not in files:
            continue
        scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        found = mode_at(code.co_filename, scope, line, code.co_qualname)
        if isinstance(found, Cut) or found == ENABLED:
            return found if isinstance(found, Cut) else unknown
        unknown = unknown or found
    if not torch.is_grad_enabled():
        # Turned off by a statement, and still off.
        mine = [each for each, _ in stack[at:] if each.f_code in files]
        found = (switched_off(each.f_code.co_filename, each.f_code.co_qualname) for each in mine)
        return next((each for each in found if each is not None), UNKNOWN)
    return unknown


def _made(lineage: Lineage, name: str, before: int) -> Location | None:
    """The last statement, or loop, above line `before` that `name` has its value from."""
    found = lineage.assignments(name, before)
    made: ast.AST | None = found[-1] if found else None
    for each in nodes_of(lineage.scope):
        if isinstance(each, ast.For) and name in target_names(each.target):
            inside = each.lineno < before <= (each.end_lineno or 0)
            if inside and (made is None or getattr(made, "lineno", 0) < each.lineno):
                made = each.iter
    return lineage.cut(made, "").location() if made is not None else None


def lineage_of(frame: FrameType, files: UserFiles, trail: Trail | None = None) -> Lineage:
    """The lineage of what the function of `frame` computes."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    values = {**variables(frame.f_globals), **variables(frame.f_locals)}
    return Lineage(code.co_filename, scope, code.co_qualname, values, files, trail=trail)


def _around(frame: FrameType | None, files: UserFiles) -> Cut | None:
    """What disables gradients at the call itself: a no_grad block around it or around a caller, a
    set_grad_enabled(False) that was never undone, or a library that calls the function."""
    if torch.is_grad_enabled():
        return None
    switch, innermost = None, frame
    while frame is not None:
        if frame.f_code in files:
            guard = lineage_of(frame, files).guard_at(frame.f_lineno)
            if guard is not None:
                return guard
            code = frame.f_code
            switch = switch or switched_off(code.co_filename, code.co_qualname)
        frame = frame.f_back
    return switch or off_in_library(innermost, files)
