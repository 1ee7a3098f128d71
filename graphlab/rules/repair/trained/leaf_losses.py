"""Repair of a loss that has lost its graph and is then told to require grad: both are undone."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.text import lines_with_ends
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# What makes a leaf of the value that it is given.
_MAKERS = ("Variable", "torch.autograd.Variable", "autograd.Variable", "torch.tensor")


def not_told_either(trace: Trace, leaf: Location | None, helps: Iterable[Help]) -> Iterator[Help]:
    """The repairs of what cut the graph, in the same file, each without the statement at `leaf` as
    well: with the graph there, it would make a leaf of the loss again."""
    told, alone = _untold(trace, leaf), True
    for each in helps:
        both = _both(trace, each, told) if told is not None else None
        yield each if both is None else both
        alone = False
    if alone and told is not None and _made_of(trace, leaf):
        yield replace(told, text=message("repairs.trained.leaf_loss"))


def _made_of(trace: Trace, leaf: Location | None) -> bool:
    """Whether the statement itself takes the graph: ``Variable(loss, requires_grad=True)``."""
    file = Rewriting.of(trace, leaf)
    statement = file.statement(leaf.line) if file is not None and leaf is not None else None
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)


def _untold(trace: Trace, leaf: Location | None) -> Help | None:
    """Leave out what tells a loss to require grad."""
    file = Rewriting.of(trace, leaf)
    statement = file.statement(leaf.line) if file is not None and leaf is not None else None
    if file is None or statement is None or len(file.body(statement)) < 2:
        return None
    if _only_tells(statement):
        return file.help("", (*file.whole(statement), ""))
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(statement, ast.Assign) or not isinstance(value, ast.Call):
        return None
    if len(value.args) != 1:
        return None
    given = value.args[0]
    if ast.unparse(value.func) not in _MAKERS:
        return None
    if [ast.unparse(each) for each in statement.targets] == [ast.unparse(given)]:
        return file.help("", (*file.whole(statement), ""))
    return file.help("", (*file.span(value), file.text(given)))


def _only_tells(statement: ast.stmt) -> bool:
    """Whether it is ``loss.requires_grad = True`` or ``loss.requires_grad_()``."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        return isinstance(target, ast.Attribute) and target.attr == "requires_grad"
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    return (
        isinstance(func, ast.Attribute)
        and func.attr == "requires_grad_"
        and isinstance(func.value, ast.Name | ast.Attribute)
    )


def _both(trace: Trace, one: Help, other: Help) -> Help | None:
    """Two repairs of one file as one; None where they overlap, or lie in two files."""
    if not one.before or one.file is None or one.file != other.file:
        return None
    if one.line is None or other.line is None:
        return None
    lines = lines_with_ends(trace.sources.get(one.file, ""))
    first, last = (one, other) if one.line <= other.line else (other, one)
    end = (first.line or 0) - 1 + len(lines_with_ends(first.before))
    begin = (last.line or 0) - 1
    if end > begin:
        return None
    between = "".join(lines[end:begin])
    return replace(
        one,
        before=first.before + between + last.before,
        after=first.after + between + last.after,
        line=first.line,
    )
