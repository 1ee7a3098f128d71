"""Reads a custom Function: its class, its backward in the source, and what that returned."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from typing import Any

import torch

from graphlab.source.effects.assignments import scope_of
from graphlab.source.objects import attribute, is_a, static
from graphlab.source.places import parse

_native: Any = torch._C
_Base: Any = _native._FunctionBase


class CustomFunction:
    """The user's Function behind a node."""

    def __init__(self, node: Any) -> None:
        self.kind: Any = static(type(node), "_forward_cls")
        self.backward = _code_of(self.kind, "backward") or _code_of(self.kind, "vjp")
        self.forward = _code_of(self.kind, "forward")

    @classmethod
    def of(cls, node: Any) -> CustomFunction | None:
        """None for a node of torch's own operations."""
        if not is_a(node, _Base) or not is_a(static(type(node), "_forward_cls"), type):
            return None
        return cls(node)

    @property
    def name(self) -> str:
        return type.__dict__["__name__"].__get__(self.kind)

    def inputs(self) -> list[str]:
        """The names of forward's inputs, without ctx; empty if it takes any number."""
        code = self.forward
        if code is None or code.co_flags & 0x04:
            return []
        names = [*code.co_varnames[: code.co_argcount]]
        # With a setup_context of its own, forward is given no ctx.
        own = static(self.kind, "setup_context")
        apart = own is not static(torch.autograd.Function, "setup_context")
        return names if apart else names[1:]

    def source(self) -> ast.FunctionDef | None:
        """The definition of its backward."""
        code = self.backward
        if code is None:
            return None
        found = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        return found if isinstance(found, ast.FunctionDef) else None


def _code_of(kind: Any, name: str) -> types.CodeType | None:
    """The code of a method, below the decorators that keep what they wrap."""
    function = attribute(kind, name)
    if type(function) is types.MethodType:
        function = function.__func__
    while type(function) is types.FunctionType and "__wrapped__" in function.__dict__:
        function = function.__dict__["__wrapped__"]
    if type(function) is not types.FunctionType or function.__module__ == "torch.autograd.function":
        return None
    return function.__code__


def returns(function: ast.FunctionDef) -> Iterator[ast.Return]:
    """Its own return statements."""
    stack: list[ast.AST] = [*function.body]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(node))


def arity(value: ast.expr | None, function: ast.FunctionDef, depth: int = 0) -> int | None:
    """How many values a return statement gives back; None if the source does not tell."""
    if value is None:
        return 1
    if isinstance(value, ast.Tuple | ast.List):
        if any(isinstance(each, ast.Starred) for each in value.elts):
            return None
        return len(value.elts) if isinstance(value, ast.Tuple) else 1
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Mult):
        left, right = (arity(e, function, depth) for e in (value.left, value.right))
        if isinstance(value.left, ast.Tuple) and isinstance(value.op, ast.Mult):
            times = value.right.value if isinstance(value.right, ast.Constant) else None
            return left * times if left is not None and type(times) is int else None
        if isinstance(value.left, ast.Tuple) and isinstance(value.right, ast.Tuple):
            return left + right if left is not None and right is not None else None
        return None if isinstance(value.left, ast.Tuple | ast.Call) else 1
    if isinstance(value, ast.Name) and depth < 4:
        made = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == value.id for t in node.targets)
        ]
        counts = {arity(each, function, depth + 1) for each in made}
        arguments = {each.arg for each in function.args.args}
        if made and len(counts) == 1:
            return counts.pop()
        return 1 if not made and value.id in arguments else None
    if isinstance(value, ast.Call):
        # tuple(...), a helper, or a tensor's method: only the last is surely one.
        func = value.func
        tensor = isinstance(func, ast.Attribute) and func.attr not in _SEVERAL
        return 1 if tensor else None
    if isinstance(value, ast.IfExp):
        counts = {arity(each, function, depth) for each in (value.body, value.orelse)}
        return counts.pop() if len(counts) == 1 else None
    if isinstance(value, ast.Subscript | ast.Attribute):
        return None
    return 1


_SEVERAL = ("grad", "split", "chunk", "unbind", "backward", "vjp", "unpack")
