"""Repairs of no_grad() and its like: statements taken out of its block, or the guard taken away."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import GUARDS
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace

# How many ways to divide a block are offered.
MOST = 4


def outside_guard(trace: Trace, at: Location) -> Iterator[Help]:
    """Take statements out of the guard at `at`: the whole block, and its last ones alone. A
    decorator is taken off."""
    file = Rewriting.of(trace, at)
    if file is None:
        return
    for node in ast.walk(file.tree):
        if isinstance(node, ast.With) and node.lineno <= at.line < node.body[0].lineno:
            yield from _of_block(file, node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.decorator_list:
                if each.lineno == at.line and _is_guard(each):
                    found = file.help(
                        message("repairs.tried.take_off", guard=file.text(each), name=node.name),
                        (*_lines(file, each), ""),
                    )
                    if found is not None:
                        yield found
        elif isinstance(node, ast.Expr) and node.lineno == at.line and _switches_off(node.value):
            found = file.help(
                message("repairs.tried.leave_on"),
                (*file.whole(node), ""),
            )
            if found is not None and len(file.body(node)) > 1:
                yield found


def _lines(file: Rewriting, node: ast.expr) -> tuple[int, int]:
    start, end = file.span(node)
    begin = file.source.rfind("\n", 0, start) + 1
    close = file.source.find("\n", end)
    return begin, len(file.source) if close < 0 else close + 1


def _of_block(file: Rewriting, block: ast.With) -> Iterator[Help]:
    # Where something decides whether the guard is on, it is not to be off for good as proved.
    for each in _without_guard(file, block):
        test = next((e for e in map(_test, block.items) if e is not None), None)
        choice = message("fix.meant.guarded", test=file.text(test)) if test is not None else ""
        yield replace(each, choice=choice)


def _test(item: ast.withitem) -> ast.expr | None:
    """``phase == "train"`` of ``torch.set_grad_enabled(phase == "train")``."""
    call = item.context_expr
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("set_grad_enabled"):
        return None
    return next((each for each in call.args if not isinstance(each, ast.Constant)), None)


def _without_guard(file: Rewriting, block: ast.With) -> Iterator[Help]:
    guards = [each for each in block.items if _is_guard(each.context_expr)]
    if len(guards) != 1 or block.body[0].lineno == block.lineno:
        return
    by = block.col_offset - block.body[0].col_offset
    name = file.text(guards[0].context_expr)
    start, end = file.whole(block)
    if len(block.items) == 1:
        whole = file.indented(block.body[0], block.body[-1], by)
        found = file.help(message("repairs.tried.outside", name=name), (start, end, whole))
    else:
        rest = [file.text(each.context_expr) for each in block.items if each not in guards]
        given = file.whole(block.body[0])[0]
        head = f"{' ' * block.col_offset}with {', '.join(rest)}:\n"
        found = file.help(message("repairs.tried.leave_out", name=name), (start, given, head))
    if found is not None:
        yield found
    # The last statements alone: what comes before them may be meant to be frozen.
    for count in range(1, min(len(block.body), MOST + 1)):
        first = block.body[-count]
        lines = file.whole(first, block.body[-1])
        out = file.indented(first, block.body[-1], by)
        what = message("repairs.tried.last", count=count)
        found = file.help(message("repairs.tried.take_out", what=what, name=name), (*lines, out))
        if found is not None:
            yield found


def with_gradients(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Compute under enable_grad what the gradient at `at` is taken of: its statements from the one
    on that makes a leaf of what the gradient is for."""
    file = Rewriting.of(trace, at)
    last = file.statement(at.line) if file is not None and at is not None else None
    if file is None or last is None:
        return
    body = file.body(last)
    before = body[: body.index(last)] if last in body else []
    leaves = [each for each in before if "requires_grad" in file.text(each)]
    if leaves:
        found = file.help(
            message("repairs.tried.gradients_on"),
            file.under("with torch.enable_grad()", leaves[-1], last),
        )
        if found is not None:
            yield found


def called_with_gradients(trace: Trace, event: Backward) -> Iterator[Help]:
    """A function with a guard calls the one that runs the backward, a closure say: call that with
    gradients on."""
    own = Rewriting.of(trace, event.at)
    inner = own.statement(event.at.line) if own is not None and event.at is not None else None
    running = own.function(inner) if own is not None and inner is not None else None
    file = Rewriting.of(trace, event.cut)
    if file is None or running is None or event.cut is None:
        return
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.FunctionDef) or not any(
            each.lineno == event.cut.line and _is_guard(each) for each in node.decorator_list
        ):
            continue
        for statement in ast.walk(node):
            call = getattr(statement, "value", None)
            if (
                isinstance(statement, ast.Assign | ast.Expr)
                and isinstance(call, ast.Call)
                and ast.unparse(call.func).rsplit(".", 1)[-1] == running.name
            ):
                found = file.help(
                    message("repairs.tried.called_on", name=running.name),
                    file.under("with torch.enable_grad()", statement, statement),
                )
                if found is not None:
                    yield found
                return


def _is_guard(node: ast.expr) -> bool:
    name = node.func if isinstance(node, ast.Call) else node
    last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
    return last in GUARDS


def _switches_off(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node).endswith("set_grad_enabled(False)")
