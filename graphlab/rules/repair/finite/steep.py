"""Repairs of a root, a quotient or an angle where its value or its slope is not finite."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.finite.operations import Operation, given_to, input_of
from graphlab.trace.finding import Help

# What gives no negative number; a sum may, and is looked at.
_NOT_NEGATIVE = {"norm", "vector_norm", "std", "var", "abs", "square", "sqrt", "exp", "sum"}


def as_norm(found: Operation) -> Iterator[Help]:
    """``torch.linalg.vector_norm(x, dim=1)`` for ``x.pow(2).sum(1).sqrt()``: the same number, to
    which torch gives a slope of 0 at 0."""
    summed = _squares(found.operand)
    if summed is None or "import torch\n" not in found.file.source:
        return
    base, words = summed
    given = ", ".join([found.file.text(base), *(f"{k}={found.file.text(v)}" for k, v in words)])
    new = f"torch.linalg.vector_norm({given})"
    help = found.file.help(message("repairs.finite.norm"), (*found.file.span(found.node), new))
    if help is not None:
        yield help


def _squares(node: ast.expr) -> tuple[ast.expr, list[tuple[str, ast.expr]]] | None:
    """What the expression adds the squares of, and by which arguments."""
    summed = given_to(node, "sum")
    squared = _squared(summed[0]) if summed is not None else None
    if summed is None or squared is None or not {"dim", "keepdim"} >= summed[1].keys():
        return None
    return squared, [*summed[1].items()]


def _squared(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return node.left if _is_two(node.right) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return node.left if ast.dump(node.left) == ast.dump(node.right) else None
    power = given_to(node, "pow")
    if power is not None:
        return power[0] if _is_two(power[1].get("dim")) else None
    return input_of(node, "square")


def _is_two(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == 2


def root_above_zero(found: Operation, below: bool) -> Iterator[Help]:
    """Keep what goes into the root above 0: at 0 no gradient then goes through it. below: it was
    given negative numbers too, whose root is not in the program."""
    power = _exponent(found.node)
    if found.name == "pow" and not (power is not None and 0 < power < 1):
        return
    help = found.file.help(
        message("repairs.finite.root", name=found.said),
        *found.file.followed(found.operand, ".clamp(min=1e-12)"),
    )
    if help is not None:
        # At 0 the result is another number by this, and what stands there no longer moves.
        at_zero = message("fix.meant.at_zero", name=found.file.text(found.node))
        choice = message("fix.meant.below_zero", name=found.said) if below else at_zero
        yield replace(help, choice=choice)


def _exponent(node: ast.expr) -> float | None:
    given: ast.expr | None = None
    if isinstance(node, ast.BinOp):
        given = node.right
    elif isinstance(node, ast.Call) and node.args:
        given = node.args[-1]
    value = given.value if isinstance(given, ast.Constant) else None
    return float(value) if isinstance(value, int | float) else None


def divisor_above_zero(found: Operation) -> Iterator[Help]:
    """Keep a divisor above 0 that can only be 0 or more. Where it counts a mask, and what it
    divides is summed over that, the mean of nothing is then 0."""
    file, node = found.file, found.node
    if _called(found.operand) not in _NOT_NEGATIVE:
        return
    counted = input_of(found.operand, "sum")
    over = input_of(node.left, "sum") if isinstance(node, ast.BinOp) else None
    if counted is not None and not _is_factor(counted, over):
        return
    help = file.help(
        message("repairs.finite.divisor", name=found.said),
        *file.followed(found.operand, ".clamp(min=1e-12)"),
    )
    if help is not None:
        open_ = message("fix.meant.at_zero", name=file.text(node))
        yield replace(help, choice="" if counted is not None else open_)


def _is_factor(counted: ast.expr, product: ast.expr | None) -> bool:
    if not isinstance(product, ast.BinOp) or not isinstance(product.op, ast.Mult):
        return False
    return ast.dump(counted) in (ast.dump(product.left), ast.dump(product.right))


def _called(node: ast.expr) -> str:
    func = node.func if isinstance(node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def angle_inside(found: Operation) -> Iterator[Help]:
    """Keep what goes into acos or asin inside of -1 and 1."""
    help = found.file.help(
        message("repairs.finite.angle", name=found.said),
        *found.file.followed(found.operand, ".clamp(-1 + 1e-6, 1 - 1e-6)"),
    )
    if help is not None:
        yield replace(help, choice=message("fix.meant.at_ends", name=found.file.text(found.node)))
