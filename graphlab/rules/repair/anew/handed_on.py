"""Repairs of what one turn hands on to the next, where its own name in the loop does not say it: an
attribute that a network stores as it runs, a variable that a call is given and gives anew."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.anew.totals import only_summed
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Module, Trace

_ANEW = {
    "tensor": "{name} = {name}.detach()",
    "tuple": "{name} = tuple(each.detach() for each in {name})",
    "list": "{name} = [each.detach() for each in {name}]",
}


def detached_as_stored(trace: Trace, event: Backward) -> Iterator[Help]:
    """``self.u = u.detach()`` in the one method, beside a constructor, that stores the attribute
    which leads to an earlier turn's graph: each call ends what the one before it began."""
    at = event.at
    for carrier in event.carriers if at is not None and not event.handed_over else ():
        holder, _, last = carrier.name.rpartition(".")
        if not holder or carrier.form not in _ANEW or carrier.inside:
            continue
        for path in sorted(trace.sources) if at is not None else ():
            file = Rewriting.of(trace, replace(at, file=path)) if at is not None else None
            stores = [*_stores(file, last)] if file is not None else []
            if file is None or len(stores) != 1:
                continue
            found = _as_stored(file, last, carrier.form, *stores[0])
            if found is None:
                continue
            if calls_since(trace, event, holder) != 1 and _of_its_input(*stores[0]):
                # In between the calls of one turn, the graph may be meant to go on.
                found = replace(found, choice=message("fix.meant.carried", names=[carrier.name]))
            elif only_summed(trace, carrier.name):
                found = replace(found, choice=message("fix.meant.summed", name=carrier.name))
            yield found


def _stores(file: Rewriting, last: str) -> Iterator[tuple[ast.Assign, Function]]:
    """The statements of methods, constructors left out, that store an attribute of that name."""
    for each in ast.walk(file.tree):
        function = file.function(each) if isinstance(each, ast.Assign) else None
        if not isinstance(each, ast.Assign) or function is None or function.name == "__init__":
            continue
        stored = any(_last(target) == last for target in _targets(each))
        if stored and not isinstance(each.value, ast.Constant):
            yield each, function


def _of_its_input(statement: ast.Assign, function: Function) -> bool:
    """Whether what is stored is computed from what the method is given, beside its object."""
    given = [*function.args.posonlyargs, *function.args.args][1:]
    known = {each.arg for each in (*given, *function.args.kwonlyargs)}
    for each in sorted(
        (e for e in ast.walk(function) if isinstance(e, ast.Assign)), key=lambda e: e.lineno
    ):
        if read_names(each) & known:
            known |= bound_names(each)
    return bool(read_names(statement) & known)


def _as_stored(
    file: Rewriting, last: str, form: str, statement: ast.Assign, function: Function
) -> Help | None:
    own = f"self.{last}"
    target = next(each for each in _targets(statement) if _last(each) == last)
    name = file.text(target)
    if isinstance(target, ast.Subscript) or statement not in file.body(statement):
        return None
    text = message("repairs.anew.stored", name=name, line=statement.lineno)
    read_after = _reads(function, own, statement, after=True)
    if not read_after and form == "tensor" and target in statement.targets:
        return file.help(text, *file.followed(statement.value, ".detach()"))
    line = _ANEW[form].format(name=name)
    if not read_after:
        place = file.whole(statement)[1]
        return file.help(text, (place, place, f"{' ' * statement.col_offset}{line}\n"))
    first = statement if name in read_names(statement) else None
    if first is None or _reads(function, own, statement, after=False):
        return None
    place = file.whole(first)[0]
    return file.help(text, (place, place, f"{' ' * first.col_offset}{line}\n"))


def _reads(function: Function, name: str, statement: ast.stmt, after: bool) -> bool:
    lines = range(statement.lineno, (statement.end_lineno or 0) + 1)
    return any(
        isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Load)
        and ast.unparse(each) == name
        and each.lineno not in lines
        and (each.lineno > statement.lineno) is after
        for each in ast.walk(function)
    )


def _targets(statement: ast.Assign) -> list[ast.expr]:
    return [each for target in statement.targets for each in getattr(target, "elts", [target])]


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


def calls_since(trace: Trace, event: Backward, holder: str) -> int:
    """How often the module of that name was called since the backward before; or the innermost one
    around it, where a container calls it."""
    before = trace.events[: trace.events.index(event)]
    called = Counter[str]()
    for each in reversed(before):
        if isinstance(each, Backward):
            break
        if isinstance(each, Module) and f"{holder}.".startswith(f"{each.name}."):
            called[each.name] += 1
    return called[max(called, key=len)] if called else 0


def detached_by_text(trace: Trace, event: Backward) -> Iterator[Help]:
    """``mems = [each.detach() for each in mems]`` at the end of each turn, for a variable that a
    call in the loop is given and gives anew: where the backward fails, it has its next value. Which
    form it has, the text need not say: each is tried."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    loop = next(
        (e for e in file.around(going) if isinstance(e, ast.For | ast.While)), None
    ) if file is not None and going is not None else None  # fmt: skip
    if file is None or going is None or loop is None or event.handed_over:
        return
    scope = file.function(loop) or file.tree
    if file.function(going) is not file.function(loop) or not file.body(loop.body[-1]):
        return
    names = [
        name
        for each in loop.body
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call)
        for name in sorted(bound_names(each) & read_names(each))
        if name.isidentifier() and name != event.loss
    ]
    for name in dict.fromkeys(names):
        if not _begun_before(scope, loop, name):
            continue
        last = loop.body[-1]
        place = file.whole(last)[1]
        for form in ("list", "tuple", "tensor"):
            found = file.help(
                message("repairs.carried.detach", names=name),
                (place, place, f"{' ' * last.col_offset}{_ANEW[form].format(name=name)}\n"),
            )
            if found is not None:
                yield found


def _begun_before(scope: ast.AST, loop: ast.For | ast.While, name: str) -> bool:
    return any(
        isinstance(each, ast.Assign) and each.lineno < loop.lineno and name in bound_names(each)
        for each in ast.walk(scope)
    )
