"""Repairs of a line at which a value left its graph: ``.item()``, ``.detach()``, a copy, NumPy."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.graph.guards import outside_guard, with_gradients
from graphlab.rules.repair.graph.in_torch import in_torch
from graphlab.rules.repair.graph.leaving import left_graph, no_parameter, whole, without
from graphlab.rules.repair.graph.scores import probabilities_instead, scores_instead
from graphlab.rules.repair.graph.which_cut import choice_among, choice_at, rival_cuts
from graphlab.source.rewriting import Function, Rewriting
from graphlab.source.vocabulary import GUARDS
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

# Functions that torch and NumPy call alike.
_ALIKE = {
    "abs", "add", "arctan", "cos", "diff", "dot", "exp", "expm1", "log", "log1p", "matmul",
    "maximum", "mean", "minimum", "multiply", "prod", "sin", "sqrt", "square", "subtract",
    "sum", "tanh", "trace", "where",
}  # fmt: skip


def graph_kept(
    trace: Trace, at: Location | None, by: str, call: Location | None = None
) -> list[Help]:
    """Ways to keep the graph that a value loses at `at`, by `by`. call: the backward, or grad(),
    that had none to go through."""
    file = Rewriting.of(trace, at)
    if file is None or at is None:
        return []
    if any(word in by for word in GUARDS):
        # A function that takes a gradient itself may be called under a guard that is meant.
        return [*with_gradients(trace, call), *outside_guard(trace, at)]
    if "requires_grad" in by:
        return [*_thawed(trace, call)]
    if "Parameter(" in by:
        return [*no_parameter(file, at)]
    drawn = _drawn_with_graph(file, at) if ".sample(" in by else []
    kept = [*_later(file, at, call), *_undone(file, at)]
    kept += [*in_torch(trace, at), *scores_instead(trace, at), *probabilities_instead(trace, at)]
    return drawn or kept or [*_thawed(trace, call)]


def _drawn_with_graph(file: Rewriting, at: Location) -> list[Help]:
    """``rsample()`` for ``sample()``: not every distribution has it."""
    statement = file.statement(at.line)
    edits = [
        (file.span(node)[1] - len("sample"), file.span(node)[1], "rsample")
        for node in (ast.walk(statement) if statement is not None else ())
        if isinstance(node, ast.Attribute) and node.attr == "sample"
    ]
    found = file.help(message("repairs.tried.rsample"), *edits)
    return [found] if found is not None else []


def argument_cut(trace: Trace, at: Location | None) -> str:
    """The argument of a function of several that ``x = x.detach()`` at `at` cuts off; "" where
    there is none. The cut may be meant for another one of them."""
    file = Rewriting.of(trace, at)
    cut = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(cut) if file is not None and cut is not None else None
    if file is None or function is None or not isinstance(cut, ast.Assign):
        return ""
    given = [each.arg for each in function.args.args if each.arg != "self"]
    name = ast.unparse(cut.targets[0])
    rebound = name in given and whole(file, cut.value) == name
    return name if rebound and len(given) > 1 else ""


def _later(file: Rewriting, at: Location, call: Location | None) -> Iterator[Help]:
    """Move ``x = x.item()`` behind the backward: what comes after may mean the number. A sum stays:
    what is added to a loss is there to be trained."""
    one = file.statement(at.line)
    other = file.statement(call.line) if call is not None and call.file == at.file else None
    if not isinstance(one, ast.Assign) or other is None or other not in file.body(one):
        return
    names = {ast.unparse(each) for each in one.targets}
    if whole(file, one.value) in names and one.lineno < other.lineno:
        found = file.help(message("repairs.tried.after_backward", line=other.lineno),
                          *file.moved(one, other))  # fmt: skip
        if found is not None:
            yield found


def _undone(file: Rewriting, at: Location) -> Iterator[Help]:
    statement = file.statement(at.line)
    if statement is None or hasattr(statement, "body"):
        return
    targets = getattr(statement, "targets", [])
    value = statement.value if isinstance(statement, ast.Assign) else None
    same = value is not None and [whole(file, value)] == [ast.unparse(each) for each in targets]
    if same and len(file.body(statement)) > 1:
        # Nothing would be left of it but ``x = x``.
        text = message("repairs.tried.keep_graph", line=at.line)
        found = file.help(text, (*file.whole(statement), ""))
        if found is not None:
            yield found
        return
    rivals = rival_cuts(file, statement, at, left_graph)
    meant = choice_among(file, rivals, left_graph)
    if len(rivals) > 1:
        yield from _each_alone(file, at, rivals, meant)
    cuts = [each for each in ast.walk(statement) if left_graph(file, each) is not None]
    here = [each for each in cuts if file.is_at(each, at)]
    listed = _fed_lists(file, statement)
    yield from _in_torch(file, statement, cuts)
    for chosen in (here[:1], cuts):
        for more in ((), listed):
            edits = without(file, [*chosen, *more])
            if edits and (chosen or more):
                found = file.help(message("repairs.tried.keep_graph", line=at.line), *edits)
                if found is not None:
                    yield replace(found, choice=meant)


def _each_alone(file: Rewriting, at: Location, rivals: list[ast.AST], meant: str) -> Iterator[Help]:
    for each in rivals:
        given = left_graph(file, each)
        name = file.text(given[0]) if given is not None else ""
        text = message(
            "repairs.tried.keep_graph_of", name=name, line=getattr(each, "lineno", at.line)
        )
        found = file.help(text, *without(file, [each]))
        if found is not None:
            yield replace(found, choice=meant)


def which_is_meant(trace: Trace, at: Location | None, helps: Iterable[Help]) -> Iterator[Help]:
    """The same repairs of the summand that lost its graph at `at`, each with what it decides."""
    choice = choice_at(trace, at, left_graph)
    for each in helps:
        yield replace(each, choice=each.choice or choice)


def _in_torch(file: Rewriting, statement: ast.stmt, cuts: list[ast.AST]) -> Iterator[Help]:
    """Compute with torch what the statement computes with NumPy, and use it as it is."""
    calls = [
        each
        for each in ast.walk(statement)
        if isinstance(each, ast.Attribute) and ast.unparse(each.value) in ("np", "numpy")
    ]
    if not calls or not all(each.attr in _ALIKE for each in calls):
        return
    bound = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and _stores(n)}
    used = [
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and left_graph(file, node) is not None
        and any(isinstance(each, ast.Name) and each.id in bound for each in node.args)
    ]
    edits = without(file, [*cuts, *used])
    edits += [(*file.span(each.value), "torch") for each in calls]
    found = file.help(message("repairs.tried.with_torch", line=statement.lineno), *edits)
    if found is not None:
        yield found


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _fed_lists(file: Rewriting, statement: ast.stmt) -> list[ast.AST]:
    """What leaves the graph as it is appended to a list that the statement reads; or as the list to
    which the statement appends is copied."""
    read = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name)}
    copied = [
        node
        for node in ast.walk(file.tree)
        if _appends_to(statement, node) and left_graph(file, node) is not None
    ]
    return copied + [
        inner
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and ast.unparse(node.func.value) in read
        for inner in ast.walk(node)
        if inner is not node and left_graph(file, inner) is not None
    ]


def _appends_to(statement: ast.stmt, copy: ast.AST) -> bool:
    """Whether a statement appends to the list that the call `copy` makes a tensor of."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    func = statement.value.func
    return (
        isinstance(func, ast.Attribute)
        and func.attr == "append"
        and isinstance(copy, ast.Call)
        and len(copy.args) == 1
        and ast.unparse(copy.args[0]) == ast.unparse(func.value)
    )


def _thawed(trace: Trace, call: Location | None) -> Iterator[Help]:
    """Let the network of the optimizer that steps after the backward at `call` require grad again,
    at the beginning of each turn of the loop, or of the function. Only where it has trained it
    before: what is frozen from the start may be meant to be."""
    file = Rewriting.of(trace, call)
    statement = file.statement(call.line) if file is not None and call is not None else None
    if file is None or statement is None:
        return
    body = file.body(statement)
    after = "".join(file.text(each) for each in body[body.index(statement) :]) if body else ""
    calls = {each.name: f"{file.spelled(statement, each.name)}.step(" for each in trace.optimizers}
    stepped = [each for each in trace.optimizers if each.steps and calls[each.name] in after]
    stepped.sort(key=lambda each: after.index(calls[each.name]))
    owners = {trace.tensors[at].owner for each in stepped[:1] for at in each.owns} - {None}
    around = (each for each in file.around(statement) if isinstance(each, ast.For | Function))
    whole = next(around, None)
    if len(owners) == 1 and whole is not None:
        owner = file.spelled(statement, owners.pop() or "")
        told = ast.get_docstring(whole) is not None if isinstance(whole, Function) else False
        first = whole.body[told:][0] if whole.body[told:] else whole.body[0]
        place = file.whole(first)[0]
        found = file.help(
            message("repairs.tried.require_again", owner=owner),
            (place, place, f"{' ' * first.col_offset}{owner}.requires_grad_(True)\n"),
        )
        if found is not None:
            yield found
