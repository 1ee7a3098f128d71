"""Repairs of the line that made a tensor what an operation was refused for."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.source.blocks import Block, Edit, StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import GUARDS
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def guard_with_no_grad(trace: Trace, at: Location) -> Help | None:
    """``torch.no_grad()`` for ``torch.inference_mode()``."""
    block = Block(trace.sources.get(at.file, ""), at.file, at.line, at.line)
    line = block.lines[at.line - 1] if at.line <= len(block.lines) else ""
    new, count = re.subn(r"\btorch\.inference_mode\b(\((mode=)?True\))?", _no_grad, line)
    if count != 1:
        return None
    text = message("repairs.operations.no_grad")
    return block.help(text, [Edit(at.line, at.line, new)])


def _no_grad(found: re.Match[str]) -> str:
    return "torch.no_grad()" if found[1] else "torch.no_grad"


def leaf_last(trace: Trace, at: Location) -> Help | None:
    """``x = (torch.randn(3) * 0.01).requires_grad_()`` for ``x = torch.randn(3,
    requires_grad=True) * 0.01``, or for ``torch.randn(3).requires_grad_() * 0.01``; within a list
    for each of its elements."""
    here = StatementInScope.of(trace, at)
    statement = here.statement if here is not None else None
    if here is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
        return None
    value = statement.value
    words = [
        (call, word)
        for call in (ast.walk(value) if value is not None else ())
        if isinstance(call, ast.Call)
        for word in call.keywords
        if word.arg == "requires_grad" and getattr(word.value, "value", None) is True
    ]
    told = [
        call
        for call in (ast.walk(value) if value is not None else ())
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "requires_grad_"
        and all(getattr(each, "value", None) is True for each in call.args)
        and not call.keywords
    ]
    if value is None or len(words) + len(told) != 1 or statement.lineno != statement.end_lineno:
        return None
    call = words[0][0] if words else told[0]
    value = _element(value, call)
    if call is value:
        return None
    if words:
        kept = [here.text(each) for each in call.args]
        kept += [here.text(each) for each in call.keywords if each is not words[0][1]]
        plain = f"{here.text(call.func)}({', '.join(kept)})"
    else:
        plain = here.text(told[0].func.value) if isinstance(told[0].func, ast.Attribute) else ""
    inner = here.text(value).replace(here.text(call), plain, 1)
    if not isinstance(value, ast.Call | ast.Name | ast.Attribute):
        inner = f"({inner})"
    text = here.text(statement).replace(here.text(value), f"{inner}.requires_grad_()", 1)
    return here.help(message("repairs.operations.leaf_last"), text)


def _element(value: ast.expr, call: ast.Call) -> ast.expr:
    """What is made of `call`: the element that holds it, where the value is a list."""
    while isinstance(value, ast.List | ast.Tuple | ast.ListComp):
        inner = [value.elt] if isinstance(value, ast.ListComp) else value.elts
        held = [each for each in inner if call in ast.walk(each)]
        if not held:
            break
        value = held[0]
    return value


def update_under_no_grad(trace: Trace, at: Location) -> Help | None:
    """Updates in place under no_grad for ``w = w - lr * w.grad``, which makes another tensor, and
    for those that follow it."""
    here = StatementInScope.of(trace, at)
    first = _updated(here, here.statement) if here is not None else None
    if here is None or first is None or not re.search(r"^import torch$", here.source, re.M):
        return None
    lines, last = [first], here.statement
    for each in here.following():
        more = _updated(here, each) if here.owns_its_lines(each) else None
        if more is None:
            break
        lines.append(more)
        last = each
    indent = " " * here.statement.col_offset
    new = "".join(f"{indent}    {each}\n" for each in lines)
    edit = Edit(here.statement.lineno, last.end_lineno or last.lineno,
                f"{indent}with torch.no_grad():\n{new}")  # fmt: skip
    return here.block.help(message("repairs.operations.update"), [edit])


def _updated(here: StatementInScope, statement: ast.stmt) -> str | None:
    """``w -= lr * w.grad`` for ``w = w - lr * w.grad``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    value, target = statement.value, ast.unparse(statement.targets[0])
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Sub | ast.Add):
        return None
    if ast.unparse(value.left) != target or f"{target}.grad" not in here.text(value):
        return None
    sign = "-=" if isinstance(value.op, ast.Sub) else "+="
    return f"{target} {sign} {here.text(value.right)}"


def written_in_place(trace: Trace, at: Location | None) -> Help | None:
    """``w -= lr * w.grad`` for ``w = w - lr * w.grad`` under no_grad, whose result has no graph and
    requires no grad, and for those beside it. Where the program clears no gradient, these clear
    theirs: what stood there before came without one in each turn."""
    file = Rewriting.of(trace, at)
    here = file.statement(at.line) if file is not None and at is not None else None
    if file is None or here is None or _in_place(file, here) is None:
        return None
    body = file.body(here) or [here]
    first = last = body.index(here)
    while first and _in_place(file, body[first - 1]):
        first -= 1
    while last + 1 < len(body) and _in_place(file, body[last + 1]):
        last += 1
    run = body[first : last + 1]
    guards = (ast.unparse(each) for block in file.around(here) for each in _headers(block))
    guarded = any(word in each for each in guards for word in GUARDS)
    known = file.torch()
    if known is None or file.lines[here.lineno - 1][: here.col_offset].strip():
        return None
    indent = " " * here.col_offset
    deeper = indent if guarded else f"{indent}    "
    lines = [f"{deeper}{new}\n" for each in run if (new := _in_place(file, each))]
    targets = [ast.unparse(each.targets[0]) for each in run if isinstance(each, ast.Assign)]
    if not any(each in file.source for each in (".grad = None", "grad.zero_(", "zero_grad(")):
        lines += [f"{deeper}{each}.grad = None\n" for each in targets]
    header = "" if guarded else f"{indent}with {known[0]}.no_grad():\n"
    text = message("repairs.operations.in_place", name=targets[run.index(here)], line=here.lineno)
    return file.help(text, (*file.whole(run[0], run[-1]), header + "".join(lines)), *known[1])


def _headers(block: ast.AST) -> list[ast.expr]:
    """What is around a block, or a function, as it runs."""
    if isinstance(block, ast.With):
        return [each.context_expr for each in block.items]
    return getattr(block, "decorator_list", [])


def _in_place(file: Rewriting, statement: ast.stmt) -> str | None:
    """``w -= lr * w.grad`` for ``w = w - lr * w.grad`` or ``w = w.data - …``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    value, target = statement.value, ast.unparse(statement.targets[0])
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Sub | ast.Add):
        return None
    same = {target, f"{target}.data", f"{target}.detach()"}
    if ast.unparse(value.left) not in same or f"{target}.grad" not in ast.unparse(value.right):
        return None
    sign = "-=" if isinstance(value.op, ast.Sub) else "+="
    return f"{target} {sign} {file.text(value.right)}"


def clone_expanded(trace: Trace, at: Location) -> Help | None:
    """``x = y.expand(3, 4).clone()`` for ``x = y.expand(3, 4)``."""
    here = StatementInScope.of(trace, at)
    statement = here.statement if here is not None else None
    if here is None or not isinstance(statement, ast.Assign | ast.Return):
        return None
    call = statement.value
    known = ("expand", "expand_as", "broadcast_to", "as_strided")
    if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") not in known:
        return None
    text = here.text(statement).replace(here.text(call), f"{here.text(call)}.clone()", 1)
    return here.help(message("repairs.operations.clone"), text)
