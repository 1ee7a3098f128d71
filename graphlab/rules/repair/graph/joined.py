"""Repairs of two backwards through one graph: one of both losses, or each for its own optimizer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.finite.operations import is_library
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace


def joined(trace: Trace) -> Iterator[Help]:
    """``(a + b).backward()`` for ``a.backward()`` and ``b.backward()`` before one step."""
    for event in trace.events:
        if not isinstance(event, Backward) or event.raised is None or event.handed_over:
            continue
        file, second = _statement(trace, event.at)
        later = _loss(second)
        body = file.body(second) if file is not None and second is not None else []
        if file is None or second is None or later is None or second not in body:
            continue
        for first in reversed(body[: body.index(second)]):
            earlier = _loss(first)
            text = file.text(first)
            if earlier is None:
                if ".step(" in text or "zero_grad(" in text or hasattr(first, "body"):
                    break
                continue
            if not (_plain(first) and _plain(second)):
                return
            both = f"({file.text(earlier)} + {file.text(later)})"
            found = file.help(
                message("repairs.kept_apart.joined"),
                (*file.whole(first), ""),
                (*file.span(later), both),
            )
            if found is not None:
                yield found
            return


def _plain(statement: ast.stmt) -> bool:
    """Whether a backward has no argument that says what it is to do."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and not call.args
        and all(word.arg == "retain_graph" for word in call.keywords)
    )


def for_its_step(trace: Trace, event: Backward) -> Iterator[Help]:
    """Let a backward write the gradients of the optimizer alone that steps next, and so not go
    through what another one has stepped."""
    file, statement = _statement(trace, event.at)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or not isinstance(call, ast.Call) or event.handed_over:
        return
    if _loss(statement) is None or any(word.arg == "inputs" for word in call.keywords):
        return
    body = file.body(statement)
    for each in body[body.index(statement) + 1 :] if statement in body else []:
        stepped = each.value if isinstance(each, ast.Expr) else None
        func = stepped.func if isinstance(stepped, ast.Call) else None
        if _loss(each) is not None:
            return
        if isinstance(func, ast.Attribute) and func.attr == "step":
            name = file.text(func.value)
            end = file.span(call)[1] - 1
            comma = ", " if call.args or call.keywords else ""
            inputs = f'{comma}inputs=[p for g in {name}.param_groups for p in g["params"]]'
            found = file.help(message("repairs.kept_apart.own", name=name), (end, end, inputs))
            if found is not None:
                yield found
            return


def _statement(trace: Trace, at: Location | None) -> tuple[Rewriting | None, ast.stmt | None]:
    file = Rewriting.of(trace, at)
    return file, file.statement(at.line) if file is not None and at is not None else None


def _loss(statement: ast.stmt | None) -> ast.expr | None:
    """``loss`` of the statement ``loss.backward(…)``."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr != "backward":
        return None
    return func.value


def made_before_loop(trace: Trace, event: Backward) -> Iterator[Help]:
    """A variable that was computed once before the loop of the backward: detach it where it is
    made, or compute it in each turn."""
    file, statement = _statement(trace, event.at)
    loop = next(
        (e for e in file.around(statement) if isinstance(e, ast.For | ast.While)), None
    ) if file is not None and statement is not None else None  # fmt: skip
    if file is None or loop is None or event.handed_over:
        return
    scope = file.function(loop) or file.tree
    for carrier in event.carriers:
        made = [
            each
            for each in ast.walk(scope)
            if isinstance(each, ast.Assign)
            and [ast.unparse(target) for target in each.targets] == [carrier.name]
            and each.lineno < loop.lineno
        ]
        inside = any(
            isinstance(each, ast.Name)
            and each.id == carrier.name
            and isinstance(each.ctx, ast.Store)
            for each in ast.walk(loop)
        )
        if carrier.form != "tensor" or not made or inside or not carrier.name.isidentifier():
            continue
        last = max(made, key=lambda each: each.lineno)
        open_ = message("fix.meant.once", name=carrier.name) if _computes(last.value) else ""
        found = file.help(
            message("repairs.kept_apart.made_detached", name=carrier.name, line=last.lineno),
            *file.followed(last.value, ".detach()"),
        )
        if found is not None:
            yield replace(found, choice=open_)
        first = loop.body[0]
        place = file.whole(first)[0]
        again = file.indented(last, last, first.col_offset - last.col_offset)
        found = file.help(
            message("repairs.kept_apart.each_turn", names=[carrier.name]), (place, place, again)
        )
        if found is not None:
            yield replace(found, choice=open_)


def _computes(value: ast.expr) -> bool:
    """Whether something of the program's is called, a network say, and not torch alone with what
    was collected before: that is data by then."""
    return any(
        isinstance(each, ast.Call)
        and not (isinstance(each.func, ast.Attribute) and is_library(each.func.value))
        for each in ast.walk(value)
    )
