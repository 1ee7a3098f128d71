"""Repairs of a freeze: one that took what an optimizer is to train, whose part requires grad again,
and one that left gradients behind, which a step goes on with."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.building import construction, given_parameters
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, OptimizerInfo, Trace


def meant_to_train(trace: Trace) -> Iterator[OptimizerInfo]:
    """The optimizers whose parameters are all frozen, of a part of the model that one line froze as
    a whole: of ``model.head.parameters()``, where that line goes through ``model.parameters()``; or
    of a list, where that line freezes what is appended to it."""
    cuts = _cuts(trace)
    for optimizer in trace.optimizers:
        if any(trace.tensors[at].requires_grad for at in optimizer.owns):
            continue
        if any(_collected(trace, optimizer, cut) for cut in cuts):
            yield optimizer
            continue
        file, call, statement = construction(trace, optimizer.at)
        held = _owner(given_parameters(call)) if call is not None else None
        if file is None or held is None or statement is None:
            continue
        part = _resolved(file, held)
        wholes = [each for cut in cuts for each in _frozen(file, cut, statement)]
        if any(part.startswith((f"{each}.", f"{each}[")) for each in wholes):
            yield optimizer


def trains_what_it_holds(trace: Trace) -> Iterator[Help]:
    """``model.head.requires_grad_(True)`` before the optimizer of ``model.head.parameters()``; or
    ``p.requires_grad = True`` for what is appended to the list of the optimizer."""
    for optimizer in meant_to_train(trace):
        file, call, statement = construction(trace, optimizer.at)
        given = given_parameters(call) if call is not None else None
        if file is None or given is None or statement is None:
            continue
        flags = [each for cut in _cuts(trace) if (each := _collected(trace, optimizer, cut))]
        held = _owner(given)
        name = file.text(held if held is not None else given)
        text = message("repairs.trained.thaw", name=name, optimizer=optimizer.name)
        place = file.whole(statement)[0]
        line = f"{' ' * statement.col_offset}{name}.requires_grad_(True)\n"
        edit = (*file.span(flags[0]), "True") if flags else (place, place, line)
        found = file.help(text, edit)
        if found is not None:
            yield found


def _cuts(trace: Trace) -> list[Location]:
    return [each.cut for each in trace.events if isinstance(each, Backward) and each.cut]


def _owner(given: ast.expr | None) -> ast.expr | None:
    """``model`` of ``model.parameters()``."""
    if isinstance(given, ast.Call) and not given.args and isinstance(given.func, ast.Attribute):
        named = given.func.attr in ("parameters", "named_parameters")
        return given.func.value if named else None
    return None


def _resolved(file: Rewriting, held: ast.expr) -> str:
    """``model[2]`` for ``head``, a variable that is given that once."""
    made = [
        each.value
        for each in ast.walk(file.function(held) or file.tree)
        if isinstance(each, ast.Assign) and ast.unparse(held) in map(ast.unparse, each.targets)
    ]
    part = isinstance(held, ast.Name) and len(made) == 1
    return ast.unparse(made[0] if part else held)


def _frozen(file: Rewriting, cut: Location, beside: ast.stmt) -> Iterator[str]:
    """What the line at `cut` freezes, if it stands in the same function as `beside`."""
    statement = file.statement(cut.line) if cut.file == file.file else None
    if statement is None or file.function(statement) is not file.function(beside):
        return
    loop = next((each for each in file.around(statement) if isinstance(each, ast.For)), None)
    owner = _owner(loop.iter) if loop is not None else None
    if owner is not None:
        yield ast.unparse(owner)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        yield ast.unparse(call.func.value)
    # A helper that freezes what it is given.
    yield from (ast.unparse(each) for each in (call.args if isinstance(call, ast.Call) else ()))


def _collected(trace: Trace, optimizer: OptimizerInfo, cut: Location) -> ast.Constant | None:
    """The ``False`` of ``p.requires_grad = False`` at `cut`, where ``p`` is appended to the list
    that the optimizer is built from."""
    file, call, beside = construction(trace, optimizer.at)
    statement = file.statement(cut.line) if file is not None and cut.file == file.file else None
    if file is None or call is None or beside is None or not isinstance(statement, ast.Assign):
        return None
    target, flag, given = statement.targets[0], statement.value, given_parameters(call)
    if not isinstance(target, ast.Attribute) or not isinstance(flag, ast.Constant) or given is None:
        return None
    appended = f"{ast.unparse(given)}.append({ast.unparse(target.value)})"
    same = file.function(statement) is file.function(beside)
    mates = file.body(statement)
    return flag if same and appended in map(ast.unparse, mates) else None


def gradient_dropped(trace: Trace, at: Location | None) -> Help | None:
    """``p.grad = None`` after ``p.requires_grad = False``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    told = _told(statement) if statement is not None else None
    if file is None or statement is None or told is None:
        return None
    indent, name = " " * statement.col_offset, ast.unparse(told)
    lines = [f"{name}.grad = None"]
    if isinstance(statement, ast.Expr) and not _loops_over(file, statement, name):
        lines = [f"for parameter in {name}.parameters():", "    parameter.grad = None"]
    place = file.whole(statement)[1]
    return file.help(
        message("repairs.trained.gradient_dropped", name=name),
        (place, place, "".join(f"{indent}{each}\n" for each in lines)),
    )


def _told(statement: ast.stmt) -> ast.expr | None:
    """``p`` of ``p.requires_grad = …`` or ``p.requires_grad_(…)``."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        flag = isinstance(target, ast.Attribute) and target.attr == "requires_grad"
        return target.value if flag and isinstance(target, ast.Attribute) else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if isinstance(func, ast.Attribute) and func.attr == "requires_grad_":
        return func.value
    return None


def _loops_over(file: Rewriting, statement: ast.stmt, name: str) -> bool:
    """Whether it is a parameter of a loop: ``for p in model.parameters()``."""
    return any(
        isinstance(each, ast.For)
        and "parameters(" in file.text(each.iter)
        and name in {n.id for n in ast.walk(each.target) if isinstance(n, ast.Name)}
        for each in file.around(statement)
    )
