"""Tells which call of a library's gave an array, which has no graph, for what a model computed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from typing import Any

from graphlab.observe.lineage.callee import entered
from graphlab.observe.names import parameters_in
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.assignments import assigned_value
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes


def array_given(
    value: Any, statements: list[ast.stmt], reach: Callable[[ast.AST], Any], files: UserFiles
) -> ast.Call | None:
    """The call that `value`, an array of numpy's, is the result of, by the last of the `statements`
    that store it: a method of a library's, such as ``predict``, of an object that has a network
    which can be trained."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or not statements:
        return None
    call = assigned_value(statements[0])
    call = call.value if isinstance(call, ast.Subscript) else call
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    holder = reach(call.func.value)
    function = entered(reach(call.func))[1]
    if function is not None and function.__code__ in files:
        # What the user's own function does is read there.
        return None
    held = [holder, *dict.values(attributes(holder))]
    networks = [each for each in held if is_module(each)]
    return call if any(map(requires_grad, parameters_in(*networks))) else None
