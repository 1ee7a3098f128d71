"""Finds, in a statement, what reinforcement learning takes as a number: the target of a value that
is bootstrapped, as ``reward + gamma * value``, and the advantage that weighs log-probabilities."""

from __future__ import annotations

import ast
import re

_REWARD = re.compile(r"rewards?|\br\b", re.IGNORECASE)
_DISCOUNT = re.compile(r"gamma|discount", re.IGNORECASE)
_LOG_PROBABILITY = re.compile(r"log_?p(rob|robs|i)?s?\b|log_?prob", re.IGNORECASE)
_SAID = re.compile(r"advantage|\bgae\b|(\b|_)advs?\b", re.IGNORECASE)
_RATIO, _ADVANTAGE = re.compile(r"\bratios?\b", re.I), re.compile(r"adv|delta|td_err", re.I)


def target_in(statement: ast.AST) -> ast.BinOp | None:
    """``reward + gamma * value``, one of whose summands is discounted by name; None if there is
    none, or more than one."""
    found = [each for each in ast.walk(statement) if isinstance(each, ast.BinOp) and _is(each)]
    inner = {id(each) for one in found for each in ast.walk(one) if each is not one}
    outer = [each for each in found if id(each) not in inner]
    return outer[0] if len(outer) == 1 else None


def _is(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    if not isinstance(node.op, ast.Add) or any(isinstance(each, ast.Constant) for each in sides):
        return False
    for one, other in (sides, sides[::-1]):
        said = bool(_REWARD.search(ast.unparse(other)))
        if _discounted(one, said) and not _discounted(other, said):
            return True
    return False


def _discounted(node: ast.expr, of_reward: bool) -> bool:
    """Whether it has a factor that is a discount by its name; or by its value, beside a reward."""
    return any(
        isinstance(each, ast.BinOp)
        and isinstance(each.op, ast.Mult)
        and any(
            _DISCOUNT.search(_last(side)) or (of_reward and _near_one(side))
            for side in (each.left, each.right)
        )
        for each in ast.walk(node)
    )


def _near_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is float and 0.8 <= node.value < 1


def _last(node: ast.expr) -> str:
    """The name of a variable or an attribute; of a product, those of its factors."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return f"{_last(node.left)} {_last(node.right)}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _last(node.left)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def weight_in(statement: ast.AST) -> tuple[ast.expr, int] | None:
    """The other factor of the one product with log-probabilities, or with their ratio, by name, and
    which of the two it is; None if there is none, or more than one."""
    found: list[tuple[ast.expr, int]] = []
    for each in ast.walk(statement):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult):
            both = (each.left, each.right)
            for at, weight in enumerate(both):
                if _is_weight(weight, both[1 - at]):
                    found.append((weight, at))
    return found[0] if len(found) == 1 else None


def said_to_be_advantage(weight: ast.expr) -> bool:
    """Whether its name says so: what made it need not be a difference."""
    return bool(_SAID.search(ast.unparse(weight)))


def _is_weight(weight: ast.expr, other: ast.expr) -> bool:
    own, theirs = ast.unparse(weight), ast.unparse(other)
    if isinstance(weight, ast.Constant) or _LOG_PROBABILITY.search(own):
        return False
    if _LOG_PROBABILITY.search(theirs):
        return True
    return bool(_RATIO.search(theirs) and _ADVANTAGE.search(own))
