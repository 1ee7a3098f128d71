"""Repairs of a gradient asked of what does not require grad: let it, or ask where it does."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import GUARDS
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Refused, Trace


def required_before_use(trace: Trace, event: Backward) -> Iterator[Help]:
    """``x.requires_grad_(True)`` before the first statement that reads `x`, in the function that
    asks for its gradient. A parameter that does not require grad is meant to be frozen."""
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    if tensor is None or tensor.name is None or tensor.kind == "parameter":
        return
    yield from required_before(trace, event.at, tensor.name)


def required_before(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """The same of the variable `name`, whose gradient is asked for at `at`."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return
    body = file.body(statement)
    before = body[: body.index(statement)] if statement in body else []
    binding = next((at for at, each in enumerate(before) if name in _bound(each)), -1)
    first = next((each for each in before[binding + 1 :] if _reads(each, name)), None)
    if first is None:
        return
    place = file.whole(first)[0]
    indent = " " * first.col_offset
    found = file.help(
        message("repairs.asked.require", name=name, line=first.lineno),
        (place, place, f"{indent}{name}.requires_grad_(True)\n"),
    )
    if found is not None:
        yield found


def required_where_made(trace: Trace, event: Backward) -> Iterator[Help]:
    """``x.requires_grad_(True)`` behind the statement that makes `x`, where the gradient is asked
    for in a function that is given it, or knows it as a global: there the forward has run."""
    tensor = trace.tensors[event.subject] if event.subject is not None else None
    asked, file = Rewriting.of(trace, event.at), Rewriting.of(trace, event.cut)
    if tensor is None or tensor.kind == "parameter" or asked is None or file is None:
        return
    made = file.statement(event.cut.line) if event.cut is not None else None
    asking = asked.statement(event.at.line) if event.at is not None else None
    function = asked.function(asking) if asking is not None else None
    given = (
        {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
        if function is not None
        else set[str]()
    )
    target = made.targets[0] if isinstance(made, ast.Assign) else None
    if not isinstance(target, ast.Name) or made is None:
        return
    known = tensor.name == target.id and file.function(made) in (None, function)
    if tensor.name not in given and not known:
        return
    place = file.whole(made)[1]
    line = f"{' ' * made.col_offset}{target.id}.requires_grad_(True)\n"
    text = message("repairs.asked.require", name=target.id, line=(made.end_lineno or 0) + 1)
    found = file.help(text, (place, place, line))
    if found is not None:
        yield found


def made_requiring(trace: Trace, made: Location | None) -> Iterator[Help]:
    """``torch.randn(k, d).requires_grad_()`` where a tensor is made."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
        return
    if isinstance(statement.value, ast.Call):
        words = (each for each in statement.value.keywords if each.arg == "requires_grad")
        said = next(words, None)
        edits = (
            [(*file.span(said.value), "True")]
            if said is not None
            else file.followed(statement.value, ".requires_grad_()")
        )
        found = file.help(message("repairs.asked.made_requiring"), *edits)
        if found is not None:
            yield found


def _bound(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {ast.unparse(each) for target in targets for each in getattr(target, "elts", [target])}


def _reads(statement: ast.stmt, name: str) -> bool:
    return any(
        isinstance(each, ast.Name | ast.Attribute)
        and isinstance(each.ctx, ast.Load)
        and ast.unparse(each) == name
        for each in ast.walk(statement)
    )


def hook_where_grad(trace: Trace, event: Refused) -> Iterator[Help]:
    """A hook on a tensor without a graph: under a guard that is meant, register where there is a
    graph; on data, let it require grad first."""
    file = Rewriting.of(trace, event.at)
    statement = file.statement(event.at.line) if file is not None and event.at else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if file is None or statement is None or not isinstance(func, ast.Attribute):
        return
    name, indent = file.text(func.value), " " * statement.col_offset
    if any(word in event.made_by for word in GUARDS):
        found = file.help(
            message("repairs.asked.where_grad", name=name),
            file.under(f"if {name}.requires_grad", statement, statement),
        )
    elif func.attr == "retain_grad":
        found = file.help(
            message("repairs.asked.leaf", name=name),
            (*file.span(statement), f"{name}.requires_grad_(True)"),
        )
    else:
        place = file.whole(statement)[0]
        found = file.help(
            message("repairs.asked.leaf", name=name),
            (place, place, f"{indent}{name}.requires_grad_(True)\n"),
        )
    if found is not None:
        yield found


def trained_alone(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``if p.requires_grad`` in the comprehension over named_parameters() that the inputs of a
    grad() are made by, and in all others over the same, which go with it. Not where there are
    others over another module's: which of them are meant is not told."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    scope = (file.function(statement) or file.tree) if file is not None and statement else None
    if file is None or scope is None:
        return
    edits = []
    over = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.comprehension) and ast.unparse(node.iter).endswith("parameters()")
    ]
    if len({ast.unparse(node.iter).rpartition(".")[0] for node in over}) != 1:
        return
    for node in over:
        if node.ifs:
            continue
        targets = getattr(node.target, "elts", [node.target])
        last = targets[-1]
        name = ast.unparse(last)
        if name == "_":
            name = "p"
            if any(ast.unparse(each) == name for each in targets):
                return
            edits.append((*file.span(last), name))
        end = file.span(node.iter)[1]
        edits.append((end, end, f" if {name}.requires_grad"))
    found = file.help(message("repairs.asked.trained"), *edits)
    if found is not None:
        yield found
