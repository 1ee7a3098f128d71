"""Finds the line that copies a network, where what is trained is the copy: the parameters that it
was made of never receive a gradient."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import grad_edge, leaf_of, listed, walk
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.stores import last_part
from graphlab.source.evaluate import evaluate, in_frame
from graphlab.source.files import UserFiles, user_frames
from graphlab.source.objects import LOST, variables
from graphlab.source.places import parse

# A graph is looked through so far for the copy's parameters.
_NODES = 4_000
# Calls of `higher`'s whose copy has a graph of its own, unless they are told both of these; by
# themselves they take both for true.
_HIGHER = ("innerloop_ctx", "monkeypatch")
_KEEPS = {"copy_initial_weights": False, "track_higher_grads": True}


def copied(missing: set[int], frame: FrameType, files: UserFiles) -> Cut | None:
    """The one copy of a module of which all trained parameters are `missing`, given by identity,
    that leads to the loss of the backward which runs in `frame`, autograd's own."""
    roots = [grad_edge(each) for each in listed(frame.f_locals.get("tensors"))]
    reached = {id(leaf_of(each)) for each in walk(filter(None, roots), _NODES)}
    found: list[Cut] = []
    read: set[str] = set()
    for user in user_frames(frame.f_back, files):
        file = user.f_code.co_filename
        if file not in read:
            read.add(file)
            found += _higher(user, file, missing)
        for node, target in _assigned(user, file):
            copy = in_frame(target, user)
            mine = parameters_in(copy) if is_module(copy) else []
            if any(id(each) in reached for each in mine) and _lost(node.args[0], user, missing):
                found.append(Cut(node, ast.unparse(node), file, user.f_code.co_name))
    return found[0] if len({(each.file, each.node) for each in found}) == 1 else None


def _assigned(user: FrameType, file: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The copies that are made in a file, each with what it is assigned to."""
    for node in ast.walk(parse(file) or ast.Module([], [])):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if last_part(node.value.func) == "deepcopy" and len(node.value.args) == 1:
            yield node.value, node.targets[0]


def _higher(user: FrameType, file: str, missing: set[int]) -> Iterator[Cut]:
    """The calls of `higher` in a file whose copies do not lead back."""
    for node in ast.walk(parse(file) or ast.Module([], [])):
        if not isinstance(node, ast.Call) or last_part(node.func) not in _HIGHER or not node.args:
            continue
        told = {each.arg: _told(each.value, user) for each in node.keywords}
        keeps = all(told.get(key, True) is value for key, value in _KEEPS.items())
        if not keeps and None not in told and _lost(node.args[0], user, missing):
            yield Cut(node, f"{ast.unparse(node.func)}(…)", file, user.f_code.co_name)


def _told(node: ast.expr, user: FrameType) -> Any:
    return node.value if isinstance(node, ast.Constant) else None


def _lost(node: ast.expr, user: FrameType, missing: set[int]) -> bool:
    """Whether an expression is a module whose trained parameters are all `missing`."""
    module = in_frame(node, user)
    if module is LOST:
        module = evaluate(node, lambda name: variables(user.f_globals).get(name, LOST))
    own = (
        [id(each) for each in parameters_in(module) if requires_grad(each)]
        if is_module(module)
        else []
    )
    return bool(own) and missing.issuperset(own)
