"""Tells that a library refused an optimizer which holds no parameter of the module beside it."""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any

import torch

from graphlab.observe.lineage.returned import TORCH
from graphlab.observe.names import parameters_in, parameters_of
from graphlab.observe.notes import located
from graphlab.observe.origins.context import Context, Entry, node_at
from graphlab.observe.tensors import is_module
from graphlab.source.effects.stores import stores_named
from graphlab.source.files import installed
from graphlab.source.objects import is_a
from graphlab.source.places import nodes_of
from graphlab.source.wording import call_text
from graphlab.trace.model import Location
from graphlab.trace.sightings import OptimizerRefused


def strangers_given(
    frame: FrameType, offset: int, inner: FrameType, built: Any
) -> OptimizerRefused | None:
    """Of a call in the user's `frame` that was given one module and one optimizer, and that an
    installed package refused: the optimizer has parameters, and none of them is the module's.
    `built` gives the place where an optimizer was built."""
    file = inner.f_code.co_filename
    call = node_at(frame.f_code, offset)
    context = Context.of_entry(Entry(frame, offset))
    library = installed(file) and not file.startswith(TORCH)
    if not library or not isinstance(call, ast.Call) or context is None:
        return None
    given = [*call.args, *(word.value for word in call.keywords)]
    values = [(node, context.value(node)) for node in given]
    modules = [(node, value) for node, value in values if is_module(value)]
    optimizers = [(node, each) for node, each in values if is_a(each, torch.optim.Optimizer)]
    if len(modules) != 1 or len(optimizers) != 1:
        return None
    (model, module), (name, optimizer) = modules[0], optimizers[0]
    held = {id(each) for each in parameters_of(optimizer)}
    own = {id(each) for each in parameters_in(module)}
    if not held or not own or held & own:
        return None
    at, made = located((frame.f_code, offset)), located(built(optimizer))
    told = ast.unparse(name), ast.unparse(model)
    anew = _bound_anew(context, ast.unparse(model), made, call)
    text = call_text(at, ast.unparse(call.func))[0]
    why = "replaced" if anew is not None else "strangers"
    return OptimizerRefused(at, text, why, told, anew or made)


def _bound_anew(
    context: Context, name: str, made: Location | None, call: ast.Call
) -> Location | None:
    """The one line between the optimizer's and the call that gives the variable another module."""
    if made is None or made.file != context.file:
        return None
    body = {id(each) for each in nodes_of(context.scope)}
    found = [
        each.at
        for each in stores_named(context.file, name.rpartition(".")[2])
        if id(each.node) in body
        and ast.unparse(each.target) == name
        and made.line < each.node.lineno < call.lineno
    ]
    return found[0] if len(found) == 1 else None
