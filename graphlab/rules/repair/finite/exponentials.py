"""Repairs of an exponential that overflows: the function that torch computes without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.finite.logarithms import is_one
from graphlab.rules.repair.finite.operations import (
    Operation,
    functional,
    given_to,
    input_of,
    value_of,
)
from graphlab.trace.finding import Help


def without_exponential(found: Operation) -> Iterator[Help]:
    """``logsumexp``, ``softplus`` or ``softmax`` for what is written with exponentials. It is the
    same number, where that is finite."""
    file, scope = found.file, found.file.function(found.node) or found.file.tree
    for node in ast.walk(scope):
        new = _softmax(found, node) or _softplus(found, node) or _logsumexp(found, node)
        if new is not None:
            name, text = new
            edits = [(*file.span(node), text), *_unused(found, node)]
            help = file.help(message("repairs.finite.without_exp", name=name), *edits)
            if help is not None:
                yield help
            return


def _unused(found: Operation, node: ast.AST) -> Iterator[tuple[int, int, str]]:
    """The edit that leaves out the variable that holds the exponential, if only `node` reads it."""
    binding = found.file.parents.get(id(found.node))
    if not isinstance(binding, ast.Assign) or len(found.file.body(binding)) < 2:
        return
    name = ast.unparse(binding.targets[0])
    within = {id(each) for each in ast.walk(node)}
    loads = [
        each
        for each in ast.walk(found.file.function(binding) or found.file.tree)
        if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)
    ]
    if all(id(each) in within for each in loads):
        yield *found.file.whole(binding), ""


def _is_it(found: Operation, node: ast.expr | None) -> bool:
    """Whether an expression is the exponential, or the variable that holds it."""
    return node is found.node or (
        isinstance(node, ast.Name) and value_of(found.file, node) is found.node
    )


def _softmax(found: Operation, node: ast.AST) -> tuple[str, str] | None:
    """``e / e.sum(-1, keepdim=True)``, with the exponential written out twice or in a variable."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return None
    summed = given_to(node.right, "sum")
    if summed is None or not _is_it(found, node.left):
        return None
    of, words = summed
    alike = _is_it(found, of) or ast.dump(of) == ast.dump(found.node)
    if not alike or not _true(words.get("keepdim")) or "dim" not in words:
        return None
    return "softmax", f"torch.softmax({found.said}, dim={found.file.text(words['dim'])})"


def _true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _softplus(found: Operation, node: ast.AST) -> tuple[str, str] | None:
    """``log(1 + exp(x))`` and ``log1p(exp(x))``."""
    inner = input_of(node, "log1p")
    if inner is None:
        inner = input_of(node, "log")
        if not isinstance(inner, ast.BinOp) or not isinstance(inner.op, ast.Add):
            return None
        one, other = inner.left, inner.right
        inner = other if is_one(one) else one if is_one(other) else None
    if not _is_it(found, inner):
        return None
    return "softplus", f"{functional(found.file)}.softplus({found.said})"


def _logsumexp(found: Operation, node: ast.AST) -> tuple[str, str] | None:
    """``log(exp(x).sum(1))``."""
    inner = input_of(node, "log")
    summed = given_to(inner, "sum") if inner is not None else None
    if summed is None or not _is_it(found, summed[0]) or "dim" not in summed[1]:
        return None
    words = ", ".join(f"{key}={found.file.text(value)}" for key, value in summed[1].items())
    return "logsumexp", f"torch.logsumexp({found.said}, {words})"
