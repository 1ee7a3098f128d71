"""Repairs of an optimizer that was built for another network than the one that losses train."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.held.building import construction, given_parameters
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import OptimizerInfo, Trace

_NO_GRAPH = ("no_grad", "inference_mode")
_AT_REST = ("eval", "requires_grad_")
_COPIES = ("copy", "deepcopy", "load_state_dict", "state_dict")


def trained_instead(trace: Trace, optimizer: OptimizerInfo) -> Iterator[Help]:
    """``Adam(student.parameters())`` for ``Adam(teacher.parameters())``, where no gradient ever
    reaches the one, and the other is all that is trained and that no optimizer holds; below the
    line that makes that one. The program says so itself where it never computes with the first."""
    held = {at for each in trace.optimizers for at in each.owns}
    free = [
        each.owner
        for at, each in enumerate(trace.tensors)
        if each.kind == "parameter" and each.requires_grad and at not in held
    ]
    own = {trace.tensors[at].owner for at in optimizer.owns}
    file, call, statement = construction(trace, optimizer.at)
    if file is None or call is None or statement is None or optimizer.fed:
        return
    if {*optimizer.owns} != {*optimizer.never_reached} or len(own) != 1 or len({*free}) != 1:
        return
    old, new = (file.spelled(call, each) if each else "" for each in (*own, free[0]))
    given = given_parameters(call)
    if not old or not new or given is None or ast.unparse(given) != f"{old}.parameters()":
        return
    start, end = file.span(given)
    edits = [(start, end, f"{new}.parameters()")]
    making = _making(file, statement, new)
    if making is not None and making.lineno > statement.lineno:
        body = file.body(statement)
        if making not in body or statement not in body:
            return
        (first, last), place = file.whole(statement), file.whole(making)[1]
        text = file.source[first:start] + edits[0][2] + file.source[end:last]
        edits = [(first, last, ""), (place, place, text)]
    choice = message("fix.meant.network", one=new, other=old) if _used(file, old, statement) else ""
    found = file.help(
        message("repairs.given.trained_instead", name=optimizer.name, owner=new, other=old),
        *edits,
    )
    if found is not None:
        yield replace(found, choice=choice)


def copy_instead(trace: Trace, optimizer: OptimizerInfo) -> Iterator[Help]:
    """``SGD(fast.parameters())`` below ``fast = copy.deepcopy(self.model)``, for an optimizer of
    what was copied, which the losses never reach, in the function that makes the copy to train."""
    file, call, statement = construction(trace, optimizer.at)
    if file is None or call is None or statement is None or optimizer.cut is None:
        return
    copied = file.statement(optimizer.cut.line) if optimizer.cut.file == file.file else None
    given = given_parameters(call)
    value = copied.value if isinstance(copied, ast.Assign) else None
    if not isinstance(copied, ast.Assign) or not isinstance(value, ast.Call) or given is None:
        return
    of = [ast.unparse(each) for each in value.args]
    target = ast.unparse(copied.targets[0])
    here = file.function(copied) is file.function(statement) and copied.lineno < statement.lineno
    plain = ast.unparse(value.func).rpartition(".")[2] == "deepcopy" and target.isidentifier()
    if not here or not plain or len(of) != 1 or ast.unparse(given) != f"{of[0]}.parameters()":
        return
    words = {"name": optimizer.name, "owner": target, "other": of[0]}
    choice = ""
    if _used(file, of[0], statement):
        choice = message("fix.meant.network", one=target, other=of[0])
    found = file.help(
        message("repairs.given.trained_instead", **words),
        (*file.span(given), f"{target}.parameters()"),
    )
    if found is not None:
        yield replace(found, choice=choice)


def _making(file: Rewriting, statement: ast.stmt, name: str) -> ast.stmt | None:
    """The first assignment to `name` in the function that the statement is in."""
    scope = file.function(statement) or file.tree
    found = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Assign) and name in (ast.unparse(one) for one in each.targets)
    ]
    return min(found, key=lambda each: each.lineno, default=None)


def _used(file: Rewriting, name: str, building: ast.stmt) -> bool:
    """Whether the program computes with `name`, or trains it otherwise, beside the statement that
    builds its optimizer: it may be called without a graph, put into eval mode, and copied."""
    inside = {id(each) for each in ast.walk(building)}
    for node in ast.walk(file.tree):
        if id(node) in inside or not isinstance(node, ast.Name | ast.Attribute):
            continue
        if ast.unparse(node) != name or not isinstance(node.ctx, ast.Load):
            continue
        around = [*file.around(node)]
        if any(_without_graph(each) for each in around):
            continue
        calls = [each for each in around if isinstance(each, ast.Call)]
        said = ast.unparse(calls[0].func).rpartition(".")[2] if calls else ""
        if said not in (*_AT_REST, *_COPIES):
            return True
    return False


def _without_graph(node: ast.AST) -> bool:
    said: list[ast.expr] = []
    if isinstance(node, ast.With):
        said = [each.context_expr for each in node.items]
    elif isinstance(node, ast.FunctionDef):
        said = node.decorator_list
    return any(word in ast.unparse(each) for each in said for word in _NO_GRAPH)
