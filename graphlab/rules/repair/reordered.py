"""Repairs of a write beside a view or a saved tensor: in another order, or into a copy."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from graphlab.language import message
from graphlab.rules.repair.writes import out_of_place
from graphlab.source.blocks import StatementInScope, bound_names, read_names
from graphlab.source.effects.stores import last_part
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Saved, Trace

_PLACES = ast.Name | ast.Attribute | ast.Subscript
# What gives several tensors at once.
_SEVERAL = {
    "unbind", "split", "chunk", "tensor_split", "split_with_sizes", "hsplit", "vsplit", "list",
    "tuple",
}  # fmt: skip

# What writes the result of all ranks to its first argument.
_COLLECTIVES = ("all_reduce", "reduce", "broadcast")


def view_after_write(
    trace: Trace, made: Location | None, written: Location | None
) -> Iterator[Help]:
    """Make the view after its base was written, in the same body."""
    file = Rewriting.of(trace, made)
    if file is None or made is None or written is None or made.file != written.file:
        return
    view, write = file.statement(made.line), file.statement(written.line)
    if view is None or write is None or view is write or view.lineno > write.lineno:
        return
    if write in file.body(view):
        found = file.help(message("repairs.tried.view_after"), *file.moved(view, write))
        if found is not None:
            yield found


def copy_before_write(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Bind what the statement at `at` writes to a copy of it first: the whole of it, or the
    variable that it is a part of."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    here = StatementInScope.of(trace, at) if at is not None else None
    if file is None or statement is None or here is None:
        return
    target: ast.expr | None = None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        target = statement.targets[0].value
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func = statement.value.func
        target = func.value if isinstance(func, ast.Attribute) else None
        if last_part(func) in _COLLECTIVES and statement.value.args:
            # A function, which writes what it is given; as ``.data`` of what is copied.
            target = statement.value.args[0]
            if isinstance(target, ast.Attribute) and target.attr == "data":
                target = target.value
    places = []
    while target is not None:
        if isinstance(target, _PLACES) and _is_its_own(file, here, target):
            places.append(file.text(target))
        # Of a call, what its method is called on.
        holder = target.func if isinstance(target, ast.Call) else target
        inner = getattr(holder, "value", None)
        target = inner if isinstance(inner, ast.expr) else None
    start, indent = file.whole(statement)[0], " " * statement.col_offset
    for name in dict.fromkeys(places):
        if name != "self":
            several = any(map(_are_several, _given_to(name, here)))
            copied = f"[each.clone() for each in {name}]" if several else f"{name}.clone()"
            found = file.help(
                message("repairs.tried.write_copy", name=name),
                (start, start, f"{indent}{name} = {copied}\n"),
            )
            if found is not None:
                yield found


def _given_to(name: str, here: StatementInScope) -> Iterator[ast.expr]:
    """What the function assigns to `name`."""
    for node in ast.walk(here.scope):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.Assign) and name in map(ast.unparse, targets):
            yield node.value


def _are_several(value: ast.expr) -> bool:
    """Whether a value is a list or a tuple, of tensors where a write needs a copy of them."""
    if isinstance(value, ast.Call):
        return last_part(value.func) in _SEVERAL
    return isinstance(value, ast.List | ast.Tuple | ast.ListComp)


def _is_its_own(file: Rewriting, here: StatementInScope, target: ast.expr) -> bool:
    """Whether nobody is left with the old tensor when the target is bound to a copy: a variable
    that was given to the function must be what it returns."""
    twin = next(
        (
            each
            for each in ast.walk(here.statement)
            if isinstance(each, type(target)) and ast.unparse(each) == ast.unparse(target)
        ),
        None,
    )
    # Of ``x = x.data``, ``x`` is what is meant afterwards.
    data = [*_given_to(ast.unparse(target), here)]
    own = isinstance(target, ast.Name) and here.used_later(target.id) and len(data) == 1
    own = own and isinstance(data[0], ast.Attribute) and data[0].attr == "data"
    if twin is None or not (own or here.may_rebind(twin)):
        return False
    function = file.function(file.statement(here.at.line) or file.tree)
    if not isinstance(target, ast.Name) or function is None:
        return True
    given = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    returned = {
        name.id
        for each in ast.walk(function)
        if isinstance(each, ast.Return) and each.value is not None
        for name in ast.walk(each.value)
        if isinstance(name, ast.Name)
    }
    return target.id not in given or target.id in returned


def rows_stacked(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``x = torch.stack([row.sub(m) for row, m in zip(x, means)])`` for a loop that writes the rows
    of `x` in place: they are views of one call, which autograd lets nobody write."""
    file = Rewriting.of(trace, at)
    here = StatementInScope.of(trace, at) if at is not None else None
    row = file.statement(at.line) if file is not None and at is not None else None
    loop = file.parents.get(id(row)) if file is not None and row is not None else None
    new = out_of_place(here) if here is not None else None
    if file is None or new is None or not isinstance(loop, ast.For) or loop.orelse:
        return
    over, name = loop.iter, loop.target
    if isinstance(over, ast.Call) and ast.unparse(over.func) == "zip" and over.args:
        over, name = over.args[0], getattr(name, "elts", [name])[0]
    # Of `x[0]` too: the new rows are then put into `x`.
    root = over.value if isinstance(over, ast.Subscript) else over
    if len(loop.body) > 1 or not isinstance(root, ast.Name) or not isinstance(name, ast.Name):
        return
    function = file.function(loop)
    returned = any(
        isinstance(each, ast.Return) and file.text(each) == f"return {root.id}"
        for each in ast.walk(function or file.tree)
    )
    given = {e.arg for e in ast.walk(function.args) if isinstance(e, ast.arg)} if function else {}
    # What was given, the caller may look at himself.
    if not new.startswith(f"{name.id}.") or (root.id in given and not returned):
        return
    comprehension = f"{new} for {file.text(loop.target)} in {file.text(loop.iter)}"
    start, end = file.span(loop)
    found = file.help(
        message("repairs.tried.stack_rows", name=file.text(over)),
        (start, end, f"{file.text(over)} = torch.stack([{comprehension}])"),
    )
    if found is not None and "import torch" in file.source:
        yield found


def copy_in_call(trace: Trace, at: Location | None, name: str | None) -> Iterator[Help]:
    """Give a call a copy of the variable that it would write."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body") or not name:
        return
    given = [
        each
        for call in ast.walk(statement)
        if isinstance(call, ast.Call)
        for each in call.args
        if isinstance(each, _PLACES) and file.text(each) == name
    ]
    edits = [(file.span(each)[1], file.span(each)[1], ".clone()") for each in given]
    found = file.help(message("repairs.tried.give_copy", name=name), *edits)
    if found is not None:
        yield found


def saved_later(trace: Trace, problems: Iterable[Saved], event: Backward) -> Iterator[Help]:
    """Move the statement that saved parameters down to the backward, behind the write: it, or the
    one that computes the loss and calls what saved them. Of other tensors it would use other data,
    the next batch say."""
    problems = list(problems)
    kinds = {trace.tensors[each.tensor].kind for each in problems if each.tensor >= 0}
    if kinds != {"parameter"}:
        return
    lines = {at.line for each in problems if (at := each.within or each.at) is not None}
    file = Rewriting.of(trace, event.at)
    last = file.statement(event.at.line) if file is not None and event.at is not None else None
    body = file.body(last) if file is not None and last is not None else []
    if file is None or last not in body:
        return
    before = body[: body.index(last)]
    saving = file.statement(lines.pop()) if len(lines) == 1 else None
    if saving not in before:
        saving = next((each for each in reversed(before) if _binds(each, event.loss)), None)
    if not isinstance(saving, ast.Assign):
        return
    between = before[before.index(saving) + 1 :]
    bound = bound_names(saving)
    used = read_names(saving) | bound
    if between and not any(
        bound & read_names(each) or used & bound_names(each) for each in between
    ):
        found = file.help(
            message("repairs.tried.compute_after", names=sorted(bound), line=between[-1].lineno),
            *file.moved(saving, between[-1]),
        )
        if found is not None:
            yield found


def _binds(statement: ast.stmt, name: str) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return name in (ast.unparse(each) for each in targets)
