"""Evaluates an expression of the user's source without running any of the program's code."""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import FrameType
from typing import Any

from graphlab.source.objects import LOST, attribute, item, lookup


def evaluate(node: ast.AST, name: Callable[[str], Any]) -> Any:
    """The value of a constant, a variable, an attribute, an item with a constant key, or a tuple or
    list of those. LOST for any other expression, and if the value is not stored anywhere.

    `name` gives the value of a variable, or LOST.
    """
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return name(node.id)
    if isinstance(node, ast.Attribute):
        holder = evaluate(node.value, name)
        return LOST if holder is LOST else attribute(holder, node.attr)
    if isinstance(node, ast.Subscript):
        key = constant(node.slice)
        holder = evaluate(node.value, name) if key is not LOST else LOST
        return LOST if holder is LOST else item(holder, key)
    if isinstance(node, ast.Tuple | ast.List):
        return [evaluate(each, name) for each in node.elts]
    return LOST


def constant(node: ast.expr) -> Any:
    """The value of a literal, negative numbers included, or LOST."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = constant(node.operand)
        return -inner if type(inner) in (int, float) else LOST
    return node.value if isinstance(node, ast.Constant) else LOST


def in_frame(node: ast.AST, frame: FrameType) -> Any:
    """The value of an expression in a frame, or LOST."""
    return evaluate(node, lambda name: lookup(name, frame.f_locals, frame.f_globals))
