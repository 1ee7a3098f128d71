"""Repairs of a graph that grows: detached as it is kept, or cut in each turn where it goes on."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from graphlab.language import message
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Module, Trace

_KEEPING = ("append", "extend", "add", "update", "appendleft")


def detached_as_kept(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Detach the variables that the statement at `at` keeps in a tuple, a list or a dictionary."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or hasattr(statement, "body"):
        return
    names = [
        node
        for held in ast.walk(statement)
        if isinstance(held, ast.Tuple | ast.List | ast.Dict | ast.Call)
        and (not isinstance(held, ast.Call) or _keeps(held))
        for node in (held.values if isinstance(held, ast.Dict) else getattr(held, "elts", None)
                     or getattr(held, "args", []))
        if isinstance(node, ast.Name | ast.Attribute | ast.BinOp) and not _stored(node)
    ]  # fmt: skip
    made = [each for each in names if _of_network(trace, file, statement, each)]
    first = [made] if made and len(made) < len(names) else []
    for chosen in (*first, [*names], *([each] for each in names if len(names) > 1)):
        edits = []
        for each in chosen:
            start, end = file.span(each)
            loose = isinstance(each, ast.BinOp)
            edits += [(start, start, "(")] if loose else []
            edits.append((end, end, ").detach()" if loose else ".detach()"))
        found = file.help(message("repairs.tried.keep_without"), *edits)
        if found is not None:
            yield found


def detached_after(trace: Trace, at: Location, names: Sequence[str]) -> Help | None:
    """Detach what the statement at `at` takes apart, ``y, self.mean = norm(x, self.mean)``, right
    after it: those of the `names` that it keeps."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None else None
    if file is None or not isinstance(statement, ast.Assign):
        return None
    lasts = {name.rsplit(".", 1)[-1] for name in names}
    kept = [
        text
        for target in statement.targets
        if isinstance(target, ast.Tuple | ast.List)
        for each in target.elts
        if isinstance(each, ast.Name | ast.Attribute)
        and (text := ast.unparse(each)).rsplit(".", 1)[-1] in lasts
    ]
    if not kept:
        return None
    end, indent = file.whole(statement)[1], " " * statement.col_offset
    lines = "".join(f"{indent}{each} = {each}.detach()\n" for each in kept)
    return file.help(message("repairs.tried.keep_without"), (end, end, lines))


def _of_network(trace: Trace, file: Rewriting, statement: ast.stmt, node: ast.expr) -> bool:
    """Whether a variable is what a network made, here or where the function is called that is given
    it."""
    function = file.function(statement)
    given = [each.arg for each in function.args.args] if function is not None else []
    name = ast.unparse(node)
    if name not in given or function is None:
        return name in _made_by_networks(trace, function or file.tree)
    at = given.index(name) - (given[0] == "self")
    for source in trace.sources.values():
        scopes = [e for e in nodes_in(source) if isinstance(e, ast.Module | ast.FunctionDef)]
        for scope in scopes:
            for call in (e for e in ast.walk(scope) if isinstance(e, ast.Call)):
                if ast.unparse(call.func).rpartition(".")[2] != function.name:
                    continue
                if at < len(call.args) and ast.unparse(call.args[at]) in _made_by_networks(
                    trace, scope
                ):
                    return True
    return False


def _made_by_networks(trace: Trace, scope: ast.AST) -> set[str]:
    """The variables that a call of a module gives, and those that are set to one of these."""
    modules = {each.name for each in trace.events if isinstance(each, Module)}
    found: set[str] = set()
    assigned = [each for each in ast.walk(scope) if isinstance(each, ast.Assign)]
    for each in (*assigned, *assigned):
        value = each.value
        called = isinstance(value, ast.Call) and ast.unparse(value.func) in modules
        pairs = zip(_each(each.targets[0]), _each(value), strict=False)
        if called:
            found |= {ast.unparse(one) for one in _each(each.targets[0])}
        else:
            found |= {ast.unparse(one) for one, of in pairs if ast.unparse(of) in found}
    return found


def _keeps(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _KEEPING


def _stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def cut_each_turn(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """Detach what carries the graph on before it is computed from itself."""
    last = name.rsplit(".", 1)[-1]
    for path in sorted({at.file} if at is not None else trace.sources):
        where = at or next((e.at for e in trace.events if e.at and e.at.file == path), None)
        file = Rewriting.of(trace, where)
        for node in ast.walk(file.tree) if file is not None else ():
            if file is None or not isinstance(node, ast.Assign | ast.AugAssign):
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound = [ast.unparse(each) for target in targets for each in _each(target)]
            read = {ast.unparse(each) for each in ast.walk(node.value) if _is_load(each)}
            mine = [each for each in bound if each.rsplit(".", 1)[-1] == last]
            if not mine or not (mine[0] in read or isinstance(node, ast.AugAssign)):
                continue
            place, indent = file.whole(node)[0], " " * node.col_offset
            found = file.help(
                message("repairs.tried.detach_self", name=mine[0]),
                (place, place, f"{indent}{mine[0]} = {mine[0]}.detach()\n"),
            )
            if found is not None:
                yield found


def given_detached(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """Detach what a method is given whose object keeps it: ``meter.update(loss.detach())`` for the
    graph of ``meter.value``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    holder = name.rpartition(".")[0]
    if file is None or statement is None or not holder:
        return
    for node in ast.walk(file.function(statement) or file.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if ast.unparse(node.func.value) != holder:
            continue
        given = [each for each in node.args if isinstance(each, ast.Name)]
        # Some of them may be numbers.
        for chosen in ([*given], *([each] for each in given if len(given) > 1)):
            edits = [(file.span(each)[1], file.span(each)[1], ".detach()") for each in chosen]
            found = file.help(message("repairs.tried.keep_without"), *edits)
            if found is not None:
                yield found


def summed_apart(trace: Trace, at: Location | None, name: str) -> Iterator[Help]:
    """A running sum that is back-propagated itself: train on each summand, and add up its value."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None or not name.isidentifier():
        return
    body = file.body(statement)
    before = body[: body.index(statement)] if statement in body else []
    added = next(
        (
            each
            for each in reversed(before)
            if isinstance(each, ast.AugAssign) and ast.unparse(each.target) == name
        ),
        None,
    )
    uses = [
        each
        for each in ast.walk(statement)
        if isinstance(each, ast.Name) and each.id == name and _is_load(each)
    ]
    if added is None or not uses or not isinstance(added.op, ast.Add):
        return
    fresh = next(
        (e for e in ("loss", "step_loss", "term") if e != name and e not in file.source), None
    )
    if fresh is None:
        return
    indent = " " * added.col_offset
    new = f"{indent}{fresh} = {file.text(added.value)}\n{indent}{name} += {fresh}.detach()\n"
    found = file.help(
        message("repairs.tried.new_alone", name=name),
        (*file.whole(added), new),
        *((*file.span(each), fresh) for each in uses),
    )
    if found is not None:
        yield found


def _each(target: ast.expr) -> list[ast.expr]:
    return list(getattr(target, "elts", [target]))


def _is_load(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
