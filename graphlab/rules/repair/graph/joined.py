"""Repairs of two backwards through one graph: one of both losses, or each for its own optimizer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.steps import losses_by_name
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Step, Trace


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
            # Two optimizers that have a loss each would apply both.
            mine = {ast.unparse(each) for each in (earlier, later)}
            if len(mine & set(losses_by_name(trace).values())) > 1:
                return
            both = f"({file.text(earlier)} + {file.text(later)})"
            found = file.help(
                message("repairs.kept_apart.joined"),
                (*file.whole(first), ""),
                (*file.span(later), both),
            )
            steps = {
                file.text(each)
                for each in body[body.index(second) + 1 :]
                if isinstance(each, ast.Expr) and _steps(file.text(each))
            }
            choice = message("fix.meant.both_losses") if len(steps) > 1 else ""
            if found is not None:
                yield replace(found, choice=choice)
            return


def _steps(text: str) -> bool:
    holder, step, _ = text.partition(".step(")
    return bool(step) and "sched" not in holder.lower()


def _plain(statement: ast.stmt) -> bool:
    """Whether a backward has no argument that says what it is to do."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and not call.args
        and all(word.arg == "retain_graph" for word in call.keywords)
    )


def for_its_step(trace: Trace, event: Backward, also: str = "") -> Iterator[Help]:
    """Let a backward write the gradients of the optimizer alone that steps next, and so not go
    through what another one has stepped. also: an argument more."""
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
            inputs = f'{comma}{also}inputs=[p for g in {name}.param_groups for p in g["params"]]'
            found = file.help(message("repairs.kept_apart.own", name=name), (end, end, inputs))
            if found is not None:
                yield found
            return


def each_for_its_own(trace: Trace, event: Backward) -> Iterator[Help]:
    """The same for each turn of a loop over several losses, which keep the graph for each other."""
    file, statement = _statement(trace, event.at)
    loss = _loss(statement)
    loop = file.parents.get(id(statement)) if file is not None else None
    if isinstance(loop, ast.For) and isinstance(loss, ast.Name):
        named = [each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)]
        if loss.id in named and not event.retain_graph:
            yield from for_its_step(trace, event, "retain_graph=True, ")


def kept_for_the_next(trace: Trace, freeing: Backward, event: Backward) -> Iterator[Help]:
    """Keep the graph in a loop over what one forward gave, each with a backward, before one step.
    What a turn hands on to the next is another matter: detached, it may be."""
    file, statement = _statement(trace, event.at)
    call = statement.value if isinstance(statement, ast.Expr) else None
    loss = _loss(statement)
    loops = file.around(statement) if file is not None and statement is not None else iter(())
    loop = next((each for each in loops if isinstance(each, ast.For)), None)
    if (
        file is None
        or loop is None
        or not isinstance(call, ast.Call)
        or not isinstance(loss, ast.Name)
    ):
        return
    first, last = trace.events.index(freeing), trace.events.index(event)
    if any(isinstance(each, Step) for each in trace.events[first:last]):
        return
    given = {each.id for each in ast.walk(loop.target) if isinstance(each, ast.Name)}
    made = [
        each
        for each in loop.body
        if isinstance(each, ast.Assign) and [ast.unparse(e) for e in each.targets] == [loss.id]
    ]
    read = {n.id for each in made for n in ast.walk(each.value) if isinstance(n, ast.Name)}
    stored = {
        n.id
        for each in loop.body
        for n in ast.walk(each)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    if (
        not given & (read | {loss.id})
        or stored & read
        or any(each.name in stored - {loss.id} for each in event.carriers)
    ):
        return
    end = file.span(call)[1] - 1
    comma = ", " if call.args or call.keywords else ""
    if event.retain_graph or event.handed_over:
        return
    found = file.help(
        message("repairs.kept_apart.keep_for_next", call=event.call),
        (end, end, f"{comma}retain_graph=True"),
    )
    if found is not None:
        yield found


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
