"""Repairs of modes: train() where an evaluation has ended, eval() where it begins."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, called, leads
from graphlab.source.rewriting import Function, Rewriting
from graphlab.source.vocabulary import GUARDS
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# How many places are offered.
MOST = 3


def back_to_training(
    trace: Trace, evaluated: Location | None, backward: Location | None, name: str
) -> Iterator[Help]:
    """``model.train()`` behind the evaluation that the eval() at `evaluated` begins, in a body that
    leads to it and to the backward; at the head of one that comes to the evaluation last; as the
    ``else`` of an ``if`` that does nothing but eval(). name: the model, as the code around the
    backward says it."""
    if evaluated is None or backward is None or not all(map(str.isidentifier, name.split("."))):
        return
    callers = Callers(trace, evaluated)
    evaluating, training = callers.leading_to(evaluated), callers.leading_to(backward)
    quiet = callers.calling({each.name for each in callers.functions if _guarded(each, set())})
    found: list[tuple[int, Help]] = []
    for file in callers.files:
        for node in ast.walk(file.tree):
            body = getattr(node, "body", None)
            if not isinstance(body, list) or not file.body(body[0]):
                continue
            begins = [each for each in body if leads(file, each, evaluated, evaluating)]
            trains = [each for each in body if leads(file, each, backward, training)]
            help = _in_body(file, node, begins, trains, quiet, name)
            if help is not None:
                found.append(((body[-1].end_lineno or 0) - body[0].lineno, help))
    # Further in before further out.
    yield from [help for _, help in sorted(found, key=lambda each: each[0])][:MOST]


def trained_once_given(trace: Trace, given: Location | None) -> Help | None:
    """``model.train()`` behind the statement that stores what a library's call has given."""
    file = Rewriting.of(trace, given)
    statement = file.statement(given.line) if file is not None and given is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Name | ast.Attribute) or not isinstance(value, ast.Call):
        return None
    end, indent = file.whole(statement)[1], " " * statement.col_offset
    back = f"{ast.unparse(target)}.train()"
    text = message("training.gl122.help_given", back=back)
    return file.help(text, (end, end, f"{indent}{back}\n"))


def evaluated_apart(trace: Trace, call: Location | None, name: str) -> Help | None:
    """eval() before the block without gradients that has the call, or at the head of a function
    that is all without them; and train() behind it. What the function gives back comes before any
    line behind the block, and then the program has to say train() itself, in each epoch."""
    file = Rewriting.of(trace, call)
    statement = file.statement(call.line) if file is not None and call is not None else None
    if file is None or statement is None or not all(map(str.isidentifier, name.split("."))):
        return None
    text = message("training.gl136.help_training", name=name)
    back = any(".train()" in source for source in trace.sources.values())
    for each in file.around(statement):
        if isinstance(each, Function):
            first = each.body[ast.get_docstring(each) is not None :]
            without = any(_guarded(one, set()) for one in each.decorator_list)
            if not without or not back or not first or not file.body(first[0]):
                return None
            place, indent = file.whole(first[0])[0], " " * first[0].col_offset
            alone = message("training.gl136.help_eval", name=name)
            return file.help(alone, (place, place, f"{indent}{name}.eval()\n"))
        if isinstance(each, ast.With) and any(_guarded(one, set()) for one in each.items):
            if not file.body(each) or (_leaves(each) and not back):
                return None
            (start, end), indent = file.whole(each), " " * each.col_offset
            before, after = f"{indent}{name}.eval()\n", f"{indent}{name}.train()\n"
            if _leaves(each):
                alone = message("training.gl136.help_eval", name=name)
                return file.help(alone, (start, start, before))
            return file.help(text, (start, start, before), (end, end, after))
    return None


def _leaves(block: ast.With) -> bool:
    """Whether what stands behind a block need not run."""
    return any(isinstance(each, ast.Return | ast.Break | ast.Continue) for each in ast.walk(block))


def _in_body(
    file: Rewriting,
    node: ast.AST,
    begins: list[ast.stmt],
    trains: list[ast.stmt],
    quiet: set[str],
    name: str,
) -> Help | None:
    """The repair in the body of `node`, whose statements `begins` lead to the eval() and `trains`
    to the backward."""
    body: list[ast.stmt] = getattr(node, "body", [])
    apart = [each for each in begins if each not in trains]
    if not trains or not apart:
        return None
    before = [each for each in apart if each.lineno < trains[-1].lineno]
    if not before:
        rest = body[body.index(apart[0]) :]
        ends = any(_guarded(each, quiet) for each in rest)
        if not ends or not isinstance(node, ast.For | ast.While | Function):
            return None
        told = isinstance(node, Function) and ast.get_docstring(node) is not None
        return _written(file, body[told], 0, name)
    first = body.index(before[-1])
    then = next(at for at in range(first, len(body)) if body[at] in trains)
    still = [each for each in body[first:then] if _guarded(each, quiet)]
    if still:
        return _written(file, still[-1], 1, name)
    switch = before[-1]
    if isinstance(switch, ast.If) and not switch.orelse:
        indent = " " * switch.col_offset
        return _written(file, switch.body[-1], 1, name, f"{indent}else:\n")
    return None


def _guarded(node: ast.AST, quiet: set[str]) -> bool:
    """Whether it computes something without a graph, itself or by a function of these names."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and called(each) in quiet:
            return True
        name = each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "")
        if name in GUARDS:
            return True
    return False


def _written(
    file: Rewriting, statement: ast.stmt, end: int, name: str, head: str = ""
) -> Help | None:
    """train() before a statement (0) or behind it (1)."""
    at = file.whole(statement)[end]
    line = f"{' ' * statement.col_offset}{file.spelled(statement, name)}.train()\n"
    return file.help(message("repairs.trained.back"), (at, at, head + line))
