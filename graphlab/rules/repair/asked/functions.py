"""Repairs of a custom Function: what its backward needs, saved; what keeps it from being followed
again, left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from difflib import get_close_matches

from graphlab.language import message
from graphlab.rules.repair.finite.operations import is_library
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.functions.sightings import FunctionUnfit
from graphlab.trace.model import Location, Trace

# What autograd does not see in a backward that it is to follow.
_UNSEEN = {"data", "detach", "numpy", "item", "tolist", "no_grad", "enable_grad"}


def saved_for_backward(trace: Trace, raised: Location | None) -> Iterator[Help]:
    """``ctx.save_for_backward(…)`` of what a backward unpacks, where all of it are inputs of a
    forward that saves nothing."""
    file = Rewriting.of(trace, raised)
    statement = file.statement(raised.line) if file is not None and raised is not None else None
    if file is None or not isinstance(statement, ast.Assign):
        return
    backward = file.function(statement)
    owner = file.parents.get(id(backward)) if backward is not None else None
    value, target = statement.value, statement.targets[0]
    if (
        not isinstance(owner, ast.ClassDef)
        or not isinstance(value, ast.Attribute)
        or value.attr not in ("saved_tensors", "saved_variables")
    ):
        return
    forward = _method(owner, "forward")
    setup = _method(owner, "setup_context")
    if forward is None or setup is not None or "save_for_backward" in file.text(forward):
        return
    names = [each.id for each in getattr(target, "elts", [target]) if isinstance(each, ast.Name)]
    given = [each.arg for each in forward.args.args]
    bound = {
        each.id
        for each in ast.walk(forward)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    if not names or not set(names) <= set(given[1:]) - bound:
        return
    first = forward.body[0]
    place = file.whole(first)[0]
    line = f"{' ' * first.col_offset}{given[0]}.save_for_backward({', '.join(names)})\n"
    found = file.help(message("repairs.asked.save", names=names), (place, place, line))
    if found is not None:
        yield found


def differentiable_twice(trace: Trace, decorator: Location | None) -> Iterator[Help]:
    """Take once_differentiable off a backward of which autograd sees all: it computes from the
    gradient and what was saved, and from nothing else that may depend on the inputs."""
    file = Rewriting.of(trace, decorator)
    if file is None or decorator is None:
        return
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.FunctionDef) or node.name != "backward":
            continue
        once = [each for each in node.decorator_list if "once_differentiable" in file.text(each)]
        if not once or not once[0].lineno <= decorator.line <= (node.end_lineno or 0):
            continue
        if _sees_all(file, node):
            start = file.span(once[0])[0]
            line = file.source.rindex("\n", 0, start) + 1
            end = file.source.index("\n", start) + 1
            found = file.help(message("repairs.asked.follow"), (line, end, ""))
            if found is not None:
                yield found
        return


def named_backward(trace: Trace, at: Location | None, operation: str) -> Iterator[Help]:
    """``backward`` for the method of a Function that is nearly called so, where it has none."""
    for path in sorted(trace.sources):
        file = Rewriting.of(trace, replace(at, file=path) if at is not None else None)
        for owner in ast.walk(file.tree) if file is not None else ():
            if not isinstance(owner, ast.ClassDef) or f"{owner.name}Backward" != operation:
                continue
            methods = [each for each in owner.body if isinstance(each, ast.FunctionDef)]
            if file is None or {"backward", "vjp"} & {each.name for each in methods}:
                return
            near = [each for each in methods if get_close_matches("backward", [each.name.lower()])]
            if len(near) == 1:
                start = file.source.index("def ", file.span(near[0])[0]) + 4
                found = file.help(
                    message("repairs.asked.name", name=near[0].name),
                    (start, start + len(near[0].name), "backward"),
                )
                if found is not None:
                    yield found
            return


def _sees_all(file: Rewriting, backward: Function) -> bool:
    ctx = backward.args.args[0].arg if backward.args.args else ""
    owner = file.parents.get(id(backward))
    forward = _method(owner, "forward") if isinstance(owner, ast.ClassDef) else None
    if forward is None:
        return False
    saved = {
        each.id
        for node in ast.walk(forward)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("save_for_backward")
        for each in node.args
        if isinstance(each, ast.Name)
    }
    made = {
        each.id
        for each in ast.walk(forward)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    if saved & made - _returned(forward):
        # Something in between: its graph is not there, and inputs would be missed.
        return False
    for node in ast.walk(backward):
        if isinstance(node, ast.Attribute):
            of_ctx = isinstance(node.value, ast.Name) and node.value.id == ctx
            if of_ctx and node.attr not in ("saved_tensors", "needs_input_grad"):
                return False
            if node.attr in _UNSEEN:
                return False
        if isinstance(node, ast.Call) and not _is_torchs(node, backward):
            return False
    return True


def _is_torchs(call: ast.Call, backward: Function) -> bool:
    """Whether it calls a function of torch's, or a method of what the backward was given or has
    computed: what another function does is not seen here."""
    func = call.func
    if not isinstance(func, ast.Attribute) or ".ops." in ast.unparse(func):
        return False
    if is_library(func.value):
        return True
    own = {each.arg for each in backward.args.args} | {
        each.id
        for each in ast.walk(backward)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    root: ast.AST = func.value
    while not isinstance(root, ast.Name):
        inner = [getattr(root, each, None) for each in ("value", "func", "left", "operand")]
        found = next((each for each in inner if isinstance(each, ast.AST)), None)
        if found is None:
            return False
        root = found
    return root.id in own or is_library(root)


def _returned(function: Function) -> set[str]:
    return {
        node.value.id
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)
    }


def _method(owner: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next(
        (each for each in owner.body if isinstance(each, ast.FunctionDef) and each.name == name),
        None,
    )


def applied_instead(trace: Trace, each: FunctionUnfit) -> Help | None:
    """``Name.apply(x)`` for ``Name()(x)``; the methods are made static with it."""
    file, at = Rewriting.of(trace, each.call_at), each.call_at
    statement = file.statement(at.line) if file is not None and at is not None else None
    if each.lacks != "apply" or file is None or statement is None:
        return None
    made = [
        node.func
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and not node.func.args
    ]
    kinds = [n for n in ast.walk(file.tree) if isinstance(n, ast.ClassDef) and n.name == each.name]
    if len(made) != 1 or len(kinds) != 1 or ast.unparse(made[0].func) != each.name:
        return None
    edits = [(*file.span(made[0]), f"{each.name}.apply")]
    for node in kinds[0].body:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            continue
        if node.name in ("forward", "backward"):
            start = file.whole(node)[0]
            edits.append((start, start, f"{' ' * node.col_offset}@staticmethod\n"))
    return file.help(message("repairs.asked.applied", function=each.name), *edits)
