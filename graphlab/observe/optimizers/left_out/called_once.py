"""Finds the one call of an installed package's method that can have changed what a module has."""

from __future__ import annotations

import ast
import os
from types import FrameType
from typing import Any

import torch

from graphlab.observe.lineage.callee import entered
from graphlab.observe.lineage.cut import lineage_of
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_module
from graphlab.source.effects.assignments import call_or_source
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles, installed, user_frames
from graphlab.source.objects import static
from graphlab.source.places import nodes_of
from graphlab.trace.model import Location

_TORCH = os.path.join(os.path.dirname(torch.__file__), "")


def library_call(
    frame: FrameType | None, files: UserFiles, parameter: Any, since: Location
) -> Cut | None:
    """The call of a method of a module that holds `parameter`, below the line `since` where that is
    of the same function, above the one that runs; None where there are several. What a module is
    called for is its forward, which changes no flags."""
    found: dict[int, Cut] = {}
    for each in user_frames(frame, files):
        code = each.f_code
        here = code.co_filename == since.file and code.co_firstlineno <= since.line
        lineage = lineage_of(each, files)
        for node in nodes_of(lineage.scope):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.lineno >= each.f_lineno or (here and node.lineno <= since.line):
                continue
            holder = in_frame(node.func.value, each)
            if not is_module(holder) or not any(p is parameter for p in parameters_in(holder)):
                continue
            function = entered(static(type(holder), node.func.attr))[1]
            file = function.__code__.co_filename if function is not None else ""
            if installed(file) and not file.startswith(_TORCH):
                found[id(node)] = lineage.cut(node, call_or_source(node))
    return next(iter(found.values())) if len(found) == 1 else None
