"""Finds the user's call that handed modules to a library which froze them, where no line of the
user's own did."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.lineage.callee import entered
from graphlab.observe.lineage.values import files_of, user_frames
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module
from graphlab.source.effects.assignments import call_or_source, scope_of
from graphlab.source.effects.freezes import freezes
from graphlab.source.effects.stores import last_part
from graphlab.source.evaluate import constant, in_frame
from graphlab.source.files import UserFiles, installed
from graphlab.source.objects import LOST, attributes, is_a, static
from graphlab.source.places import nodes_of, parse

_TORCH = os.path.join(os.path.dirname(torch.__file__), "")


def handed_to_library(frame: FrameType, files: UserFiles, frozen: list[Any]) -> Cut | None:
    """The one call of an installed package's function, other than torch's, that was given a module
    with all of these parameters, frozen by now, or gave it: the user's own lines froze nothing. Of
    several, the one that was given it and gave it, as a wrapper does: what only makes a module
    makes it free. Before these, the one whose own body freezes, or whose name says so."""
    gave: dict[int, Cut] = {}
    given: dict[int, Cut] = {}
    says: dict[int, Cut] = {}
    does: dict[int, Cut] = {}
    for each, node, into in _calls_before(frame, files):
        cut = _cut(each, node, call_or_source(node))
        words = [*node.args, *(word.value for word in node.keywords)]
        taken, made = (_hold(some, each, frozen) for some in (words, into))
        if taken or made or _says(node):
            callee = in_frame(node.func, each)
            file = _file_of(callee)
            if not installed(file) or file.startswith(_TORCH):
                continue
            if taken:
                given[id(node)] = cut
            if taken and _freezes(callee):
                does[id(node)] = cut
            if made:
                gave[id(node)] = cut
            if _says(node):
                says[id(node)] = cut
    both = {key: cut for key, cut in given.items() if key in gave}
    best = next((some for some in (does, says, given | gave, both) if len(some) == 1), {})
    return next(iter(best.values()), None)


def froze_again(frame: FrameType, files: UserFiles, cut: Cut, frozen: list[Any]) -> Cut | None:
    """The one later call of a library's whose own body freezes, of a module with all of these
    parameters that was made after the freezing at `cut`: ``model = get_peft_model(model, …)``
    stands between. That had frozen what it was made from."""
    found: list[Cut] = []
    for each, call, _ in _calls_before(frame, files):
        callee = in_frame(call.func, each)
        mine = (each.f_code.co_filename, each.f_code.co_qualname)
        if (
            mine == (cut.file, cut.function or "<module>")
            and not _file_of(callee).startswith(_TORCH)
            and installed(_file_of(callee))
            and _freezes(callee)
            and _hold(call.args, each, frozen)
            and _made_between(each, cut.location().line, call)
        ):
            found.append(_cut(each, call, call_or_source(call)))
    return found[0] if len(found) == 1 else None


def _made_between(frame: FrameType, first: int, last: ast.Call) -> bool:
    """Whether what the call `last` is given is assigned the value of another call below line
    `first`."""
    code = frame.f_code
    names = {ast.unparse(each) for each in last.args}
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and node.value is not last
        and first < node.lineno < last.lineno
        and names & {ast.unparse(each) for each in node.targets}
        for node in nodes_of(scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name))
    )


def _calls_before(
    frame: FrameType, files: UserFiles
) -> Iterator[tuple[FrameType, ast.Call, list[ast.expr]]]:
    """The calls above the line that runs, in each of the user's frames, and what the value of each
    is assigned to."""
    frames = [*user_frames(frame, files)]
    gave = not any(
        constant(freeze.value) is not True
        for file in files_of(frames, files)
        for freeze in freezes(file)
    )
    for each in frames:
        code = each.f_code
        nodes = [*nodes_of(scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name))]
        into = _targets(nodes) if gave else {}
        for node in nodes:
            if isinstance(node, ast.Call) and node.lineno < each.f_lineno:
                yield each, node, into.get(id(node), [])


def _hold(words: list[ast.expr], frame: FrameType, frozen: list[Any]) -> bool:
    """Whether the modules among some names of a frame hold all of these parameters."""
    values = [in_frame(each, frame) for each in words if isinstance(each, ast.Name)]
    held = {id(p) for p in parameters_in(*(each for each in values if is_module(each)))}
    return {id(each) for each in frozen} <= held


def _freezes(callee: Any) -> bool:
    """Whether the body of a function, or of a class's constructor, freezes something itself."""
    function = static(callee, "__init__") if is_a(callee, type) else entered(callee)[1]
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    return isinstance(scope, ast.FunctionDef) and any(
        constant(each.value) is False
        and each.scope.function is not None
        and each.scope.function.lineno == scope.lineno
        for each in freezes(code.co_filename)
    )


def _says(call: ast.Call) -> bool:
    name = last_part(call.func).lower()
    return "freez" in name and "unfreez" not in name


def _targets(nodes: list[ast.AST]) -> dict[int, list[ast.expr]]:
    """What the values of calls are assigned to; nothing where a method says that it freezes."""
    for node in nodes:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and "freez" in node.func.attr.lower()
        ):
            return {}
    return {
        id(node.value): node.targets
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    }


def _file_of(callee: Any) -> str:
    """The file of a class, or of the function that runs."""
    if is_a(callee, type):
        module = sys.modules.get(str(attributes(callee).get("__module__")))
        return str(attributes(module).get("__file__") or "")
    code = getattr(entered(callee)[1], "__code__", None)
    return code.co_filename if code is not None else ""


def _cut(frame: FrameType, node: ast.AST, by: str) -> Cut:
    code = frame.f_code
    by = by if len(by) < 60 else by[:57] + "…"
    return Cut(node, by, code.co_filename, code.co_qualname)


def rebound(frame: FrameType, files: UserFiles, frozen: list[Any]) -> Cut | None:
    """The only ``model = model.merge_and_unload()`` that gave the module with these parameters in
    place of a wrapper: what was trained stayed in the wrapper, which alone had such a method, so
    that it has run, in an earlier turn at the latest."""
    found: list[Cut] = []
    for each in user_frames(frame, files):
        code = each.f_code
        scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        for node in nodes_of(scope):
            call = node.value if isinstance(node, ast.Assign) else None
            func = call.func if isinstance(call, ast.Call) else None
            if not isinstance(node, ast.Assign) or not isinstance(func, ast.Attribute):
                continue
            holder, target = func.value, node.targets[0]
            if (
                isinstance(holder, ast.Name)
                and ast.unparse(target) == holder.id
                and is_module(value := in_frame(holder, each))
                and static(type(value), func.attr) is LOST
                and _hold([holder], each, frozen)
            ):
                found.append(_cut(each, node, ast.unparse(node)))
    return found[0] if len(found) == 1 else None
