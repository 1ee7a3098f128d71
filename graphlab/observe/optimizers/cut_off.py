"""Finds where a loss was cut off from parameters that no backward has reached."""

from __future__ import annotations

import ast
from types import FrameType, FunctionType
from typing import Any

from graphlab.observe.graph.walk import grad_edge, listed, sequence, walk
from graphlab.observe.lineage.callee import entered
from graphlab.observe.lineage.cut import cut_among, lineage_of
from graphlab.observe.lineage.loss import cut_before_loss
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.lineage.returned import handed_over, leaf_below
from graphlab.observe.lineage.trail import Trail
from graphlab.observe.marks import Mark
from graphlab.observe.names import Names, parameters_in, parameters_of
from graphlab.observe.notes import Cut, Log, RawBackward, RawModule, located
from graphlab.observe.optimizers.left_out.copied import copied
from graphlab.observe.optimizers.never_called import never_called
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.observe.refusals.asked import maker
from graphlab.source.effects.assignments import scope_of
from graphlab.source.effects.stores import last_part, stores
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import static, variables
from graphlab.source.places import locate, parse

# For how many losses the source is read to see why they do not reach a parameter.
READ = 6
# At which of these the modules are asked as well.
ASK = 2
# How far a graph is walked for the lines that lead to its loss.
_NODES = 4_000


def look_for_cuts(
    record: RawBackward, frame: FrameType, registry: OptimizerRegistry, log: Log, files: UserFiles
) -> None:
    """Find where the loss of a backward, called in `frame`, was cut off from the parameters that
    never had a gradient."""
    for state, optimizer in registry.followed():
        # The loss that is meant for an optimizer is the last one before its step: on the way to
        # another, as a discriminator's, what it trains may be cut off on purpose.
        settled = state.cut is not None and state.steps > state.cut_before
        if not state.never_reached or settled or state.read >= READ:
            continue
        state.read += 1
        missing = {
            id(p)
            for p in parameters_of(optimizer)
            if registry.place_of(p, None) in state.never_reached
        }
        cut = cut_before_loss(frame, record.loss, files, log, missing)
        if cut is not None:
            state.cut, state.cut_before = cut, state.steps
        roots = listed(frame.f_locals.get("tensors"))
        if roots and all(leaf_below(each) is not None for each in roots):
            state.leaf_loss = maker(roots[0], frame.f_back, files, None)
            state.leaf_name = record.loss
            handed = handed_over(frame, log, files) if state.leaf_loss is None else None
            if handed is not None:
                state.leaf_loss = located(handed.spot)
        if state.cut is None and state.read == ASK:
            names = Names(files).gather(frame)
            leading = _leading(roots, log)
            state.cut = _cut_in_forward(missing, names, leading, log, files)
            state.cut = state.cut or _made_a_parameter(missing, frame, files)
            state.cut = state.cut or copied(missing, frame, files)
            state.unused = never_called(missing, names, log, files)


def _leading(roots: list[Any], log: Log) -> list[Mark]:
    """The lines that made the nodes of a loss; none where there are too many."""
    nodes = walk(map(grad_edge, roots), _NODES)
    if len(nodes) == _NODES:
        return []
    return [mark for each in nodes if (mark := log.mark_of(sequence(each))) is not None]


def _cut_in_forward(
    missing: set[int], names: Names, leading: list[Mark], log: Log, files: UserFiles
) -> Cut | None:
    """Where a module's forward of the user's, or another method that a library calls (`message()`
    of a graph network), drops the graph of all that comes from some of the parameters `missing`,
    given by identity."""
    modules = names.held_modules()
    for module in modules:
        _, function = entered(module)
        cut = _cut_in(module, function, missing, leading, files) if function is not None else None
        if cut is not None:
            return cut
    lost = {id(each) for each in modules if any(id(p) in missing for p in parameters_in(each))}
    calling = {
        event.spot[0]
        for event in log.events
        if type(event) is RawModule and event.spot is not None and event.module in lost
    }
    for module in modules:
        for code in calling:
            method = static(type(module), code.co_name)
            if type(method) is FunctionType and method.__code__ is code:
                cut = _cut_in(module, method, missing, leading, files)
                if cut is not None:
                    return cut
    return None


def _cut_in(
    module: Any, function: FunctionType, missing: set[int], leading: list[Mark], files: UserFiles
) -> Cut | None:
    code = function.__code__
    if code not in files:
        return None
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    this = dict.fromkeys(code.co_varnames[:1], module)
    values = {**variables(function.__globals__), **this}
    trail = Trail(thorough=True)
    trail.lead[id(scope)] = {
        locate(code, max(each.offset, ~each.offset)).line for each in leading if each.code is code
    }
    lineage = Lineage(code.co_filename, scope, code.co_qualname, values, files, trail=trail)
    given = [lineage.value(each, each.lineno) for each in lineage.returns()]
    cut = cut_among(trail, missing)
    behind = [each for _, found in trail.cuts for each in found]
    # Where all that it returns is cut off, there is no other way. An expression may be read
    # more than once, and what it uses counted as often.
    whole = all(isinstance(each, Cut) for each in given)
    if cut is not None and (whole or _uses(trail.modules, missing) == _uses(behind, missing)):
        return cut
    return None


def _made_a_parameter(missing: set[int], frame: FrameType, files: UserFiles) -> Cut | None:
    """Where the function that calls backward makes a parameter of what comes from some of the
    parameters `missing`, given by identity, and gives it to a module."""
    user = user_frame(frame.f_back, files)
    if user is None:
        return None
    for store in stores(user.f_code.co_filename):
        value = store.value
        mine = (store.function or "<module>") == user.f_code.co_qualname
        if not mine or not isinstance(value, ast.Call) or last_part(value.func) != "Parameter":
            continue
        trail = Trail(thorough=True)
        lineage_of(user, files, trail).value(value, store.node.lineno)
        cut = cut_among(trail, missing)
        if cut is not None and cut.node is value:
            return cut
    return None


def _uses(found: list[Any], missing: set[int]) -> int:
    """How many of these modules have some of the parameters `missing`."""
    return sum(any(id(p) in missing for p in parameters_in(each)) for each in found)
