"""Tells which function of the program runs when an object is called."""

from __future__ import annotations

import ast
import os
import types
from collections.abc import Callable, Iterable
from typing import Any

import torch

from graphlab.observe.names import parameters_in
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.assignments import is_guard, scope_of
from graphlab.source.files import UserFiles, installed
from graphlab.source.objects import attributes, static
from graphlab.source.places import parse

_TORCH = os.path.join(os.path.dirname(torch.__file__), "")


def entered(callee: Any) -> tuple[Any, types.FunctionType | None]:
    """(what `self` stands for, the function that runs) in a call of an object: a module's forward,
    a method's, a callable object's ``__call__``, or a plain function's own; None for any other."""
    holder: Any = None
    function = callee
    if is_module(callee):
        holder, function = callee, static(type(callee), "forward")
    elif type(callee) is types.MethodType:
        holder, function = callee.__self__, callee.__func__
    elif type(callee) is not types.FunctionType:
        holder, function = callee, static(type(callee), "__call__")
    # The function inside a decorator's wrapper.
    while type(function) is types.FunctionType and "__wrapped__" in function.__dict__:
        function = function.__dict__["__wrapped__"]
    return holder, function if type(function) is types.FunctionType else None


def unwrapped(callee: Any, files: UserFiles) -> Any:
    """The user's module that a library's wrappers (DDP, a PEFT model, GradSampleModule) hand their
    calls on to: each has that one module in it and no parameter of its own. `callee` itself if it
    is none of these."""
    inner = callee
    while is_module(inner):
        function = static(type(inner), "forward")
        code = getattr(function, "__code__", None)
        if code is not None and code.co_filename in files:
            return inner
        own = attributes(inner)
        parts = [*dict.values(own["_modules"])] if type(own.get("_modules")) is dict else []
        if len(parts) != 1 or own.get("_parameters"):
            break
        inner = parts[0]
    return callee


def closed_over(function: types.FunctionType | None) -> dict[str, Any]:
    if function is None:
        return {}
    found = {}
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found


def counts(holder: Any) -> bool:
    """Whether it is a metric, as torchmetrics' are: a module that says whether its result can be
    differentiated. It adds up without gradients, so what it computes of all that it was given has
    no graph; what it gives for one call may have one."""
    return is_module(holder) and type(_differentiable(holder)) is bool


def is_apart(callee: Any) -> bool:
    """Whether it is a metric whose result never has a graph: it counts, or chooses."""
    return is_module(callee) and _differentiable(callee) is False


def gives_no_graph(callee: Any) -> bool:
    """Whether a function of an installed package's other than torch says ahead of its body that
    what it gives has no graph: a guard decorates it, as transformers' ``generate()``, or arrays of
    numpy's are in its annotation, as in that of stable-baselines3's ``predict()``."""
    code = getattr(entered(callee)[1], "__code__", None)
    if code is None or not of_library(code):
        return False
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    if not isinstance(scope, ast.FunctionDef):
        return False
    given = ast.unparse(scope.returns) if scope.returns is not None else ""
    return "ndarray" in given or any(map(is_guard, scope.decorator_list))


def networks_in(holder: Any) -> list[Any]:
    """An object, and what its attributes hold, of which an optimizer could train something."""
    held = [holder, *dict.values(attributes(holder))]
    return [
        each for each in held if is_module(each) and any(map(requires_grad, parameters_in(each)))
    ]


def of_library(code: Any) -> bool:
    """Whether it is of an installed package's file, other than torch's."""
    return (
        code is not None and installed(code.co_filename) and not code.co_filename.startswith(_TORCH)
    )


def _differentiable(module: Any) -> Any:
    return static(type(module), "is_differentiable")


def is_base_forward(func: ast.expr) -> bool:
    """Whether it is ``super().forward``: its class, or a library's, computes with the module."""
    if not isinstance(func, ast.Attribute) or func.attr != "forward":
        return False
    holder = func.value
    return isinstance(holder, ast.Call) and ast.unparse(holder.func) == "super"


def is_reentrant(node: ast.Call, callee: Any, reach: Callable[[ast.AST], Any]) -> bool:
    """Whether a checkpoint is of the kind that looks at its inputs alone: torch's default."""
    _, function = entered(callee)
    if function is None or not function.__module__.startswith("torch.utils.checkpoint"):
        return False
    flags = [each.value for each in node.keywords if each.arg == "use_reentrant"]
    return bool(node.args) and not any(reach(each) is False for each in flags)


def run_by_checkpoint(node: ast.Call) -> ast.Call:
    """The call that a checkpoint makes of what it is given, of a list of functions the first."""
    given = node.args[2:] if len(node.args) > 2 and "seq" in ast.unparse(node.func) else []
    return ast.copy_location(ast.Call(node.args[0], given or node.args[1:], []), node)


def named_in(node: ast.expr) -> list[ast.expr]:
    """An argument itself; of a lambda, the names that it reads."""
    if not isinstance(node, ast.Lambda):
        return [node]
    return [each for each in ast.walk(node.body) if isinstance(each, ast.Name)]


def runs_what_trains(callee: Any, given: Iterable[Any]) -> bool:
    """Whether a function of an installed package's other than torch, as a solver's is, was given a
    module that is trained, or a function that reads one: what it computes may have a graph."""
    code = getattr(entered(callee)[1], "__code__", None)
    if not of_library(code):
        return False
    for each in given:
        function = each if type(each) is types.FunctionType else None
        read = [each]
        if function is not None:
            names = function.__code__.co_names
            read = [function.__globals__.get(name) for name in names]
            read += closed_over(function).values()
        if any(requires_grad(p) for one in read if is_module(one) for p in parameters_in(one)):
            return True
    return False
