"""Repairs of a logarithm of 0: one with what it is of, or what goes into it kept above 0."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from graphlab.language import message
from graphlab.rules.repair.finite.operations import (
    Operation,
    functional,
    input_of,
    is_library,
    operations_of,
    value_of,
)
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# Methods that choose or rearrange values and compute none: a logarithm may as well come first.
_CHOOSING = {
    "gather", "squeeze", "unsqueeze", "flatten", "view", "reshape", "index_select", "permute",
    "take_along_dim", "transpose",
}  # fmt: skip
_NAMES = ("logits", "scores", "before")


class _Part(NamedTuple):
    """`inner`, a part of a logarithm's operand, is `made` of `given` by a call; the logarithm is
    the operand with ``head given tail`` in place of it."""

    log: Operation
    inner: ast.expr
    made: ast.Call
    given: ast.expr
    head: str
    tail: str


def in_one(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``log_softmax`` for the logarithm of a softmax, ``logsigmoid`` for that of a sigmoid, in all
    logarithms of the statement. It is the same number, where that is finite."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return
    logs = operations_of(file, statement, "log")
    parts = [part for log in logs if (part := _softmax_in(log) or _sigmoid_in(log))]
    for part in parts[:1]:
        # Those of one variable are mended together.
        alike = [each for each in parts if each.made is part.made]
        edits, name = _bound_once(file, alike)
        for each in alike:
            start, end = file.span(each.log.operand)
            first, last = file.span(each.inner)
            given = name or file.text(each.given)
            loose = each.head.endswith("-") and not name and not _bare(each.given)
            new = each.head + (f"({given})" if loose else given) + each.tail
            whole = file.source[start:first] + new + file.source[last:end]
            edits.append((*file.span(each.log.node), whole))
        help = file.help(message("repairs.finite.in_one", name=file.text(part.made)), *edits)
        if help is not None:
            yield help


def _bound_once(file: Rewriting, parts: Sequence[_Part]) -> tuple[list[tuple[int, int, str]], str]:
    """The edits that leave out a variable that is used no more, and that give what it was computed
    from a name, where else it would be computed twice; and that name."""
    made, given = parts[0].made, parts[0].given
    binding = file.parents.get(id(made))
    if not isinstance(binding, ast.Assign) or len(file.body(binding)) < 2:
        return [], ""
    target = ast.unparse(binding.targets[0])
    loads = [
        each
        for each in ast.walk(file.function(binding) or file.tree)
        if isinstance(each, ast.Name) and each.id == target and isinstance(each.ctx, ast.Load)
    ]
    unused = len(loads) == len(parts)
    once = unused and len(parts) == 1
    if once or not any(isinstance(each, ast.Call) for each in ast.walk(given)):
        return ([(*file.whole(binding), "")] if unused else []), ""
    name = next((each for each in _NAMES if each not in file.source), "x_")
    start, end = file.whole(binding)
    line = f"{' ' * binding.col_offset}{name} = {file.text(given)}\n"
    if unused:
        return [(start, end, line)], name
    return [(start, start, line), (*file.span(given), name)], name


def _bare(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)


def _softmax_in(log: Operation) -> _Part | None:
    inner = log.operand
    while (chosen := _chosen_from(inner)) is not None:
        inner = chosen
    made = value_of(log.file, inner)
    given = input_of(made, "softmax")
    if given is None or not isinstance(made, ast.Call):
        return None
    file = log.file
    start, end = file.span(made)
    first, last = file.span(given)
    tail = file.source[last:end]
    if first > file.span(made.func)[0] and made.args[:1] == [given]:
        head = file.source[start:first]
        if head.rstrip().endswith("softmax("):
            new = head.rstrip().removesuffix("softmax(") + "log_softmax("
            return _Part(log, inner, made, given, new, tail)
        return None
    return _Part(log, inner, made, given, "", tail.replace(".softmax", ".log_softmax", 1))


def _chosen_from(node: ast.expr) -> ast.expr | None:
    if isinstance(node, ast.Subscript):
        return node.value
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Attribute) and func.attr in _CHOOSING and not is_library(func.value):
        return func.value
    return None


def _sigmoid_in(log: Operation) -> _Part | None:
    """The whole operand: a sigmoid, or one less it."""
    inner, sign = log.operand, ""
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub) and is_one(inner.left):
        inner, sign = inner.right, "-"
    made = value_of(log.file, inner)
    given = input_of(made, "sigmoid")
    if given is None or not isinstance(made, ast.Call):
        return None
    head = f"{functional(log.file)}.logsigmoid({sign}"
    return _Part(log, log.operand, made, given, head, ")")


def is_one(node: ast.expr) -> bool:
    """Whether an expression is the number 1."""
    return isinstance(node, ast.Constant) and node.value == 1


def above_zero(found: Operation) -> Iterator[Help]:
    """Keep what goes into the logarithm above 0. Of ``p * log(p)`` this gives the limit at 0, which
    is 0; of another one it is to be decided what it is there."""
    file = found.file
    help = file.help(
        message("repairs.finite.logarithm", name=found.said),
        *file.followed(found.operand, ".clamp(min=1e-12)"),
    )
    if help is None:
        return
    parent = file.parents.get(id(found.node))
    twin = None
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult):
        twin = parent.left if parent.right is found.node else parent.right
    if twin is not None and ast.unparse(twin).lstrip("-") == ast.unparse(found.operand):
        yield help
    else:
        yield replace(help, choice=message("fix.meant.at_zero", name=file.text(found.node)))
