"""Tells whether a program takes gradients out of `.grad` itself, beside what optimizers do."""

from __future__ import annotations

import ast
from functools import lru_cache

# Attributes and methods after which it still is the gradient, or one value for each of its values.
_SAME = {
    "data", "detach", "abs", "square", "pow", "float", "double", "cpu", "view", "reshape",
    "flatten",
}  # fmt: skip
# What is read of a gradient only to look at it.
_LOOKS = {
    "shape", "dtype", "device", "is_sparse", "layout", "numel", "size", "dim", "is_cuda", "norm",
    "mean", "max", "min", "std", "var", "sum", "isnan", "isfinite", "isinf", "any", "all", "item",
}  # fmt: skip
# Functions that are only given a gradient to look at it.
_SHOWS = {"print", "add_histogram", "isnan", "isfinite", "isinf", "norm", "vector_norm"}


@lru_cache(maxsize=16)
def takes_gradients(source: str) -> bool:
    """Whether the source reads the values of some tensor's `.grad` for more than to look at them,
    to change them in place, or to see whether there are any."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "grad"
        and isinstance(node.ctx, ast.Load)
        and _taken(node, parents)
        for node in ast.walk(tree)
    )


def _taken(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    while isinstance(parent, ast.Attribute) and parent.attr in _SAME:
        node, parent = parent, parents.get(parent)
        if isinstance(parent, ast.Call) and parent.func is node:
            node, parent = parent, parents.get(parent)
    if isinstance(parent, ast.Attribute):
        changes = parent.attr.endswith("_") and not parent.attr.endswith("__")
        return not changes and parent.attr not in _LOOKS
    if isinstance(parent, ast.Call):
        # torch.autograd.grad(…) is a function of that name.
        name = ast.unparse(parent.func).rsplit(".", 1)[-1]
        return parent.func is not node and name not in _SHOWS
    return not isinstance(parent, ast.Compare | ast.Expr | ast.If | ast.BoolOp | ast.UnaryOp)
