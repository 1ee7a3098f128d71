"""Repairs of a ``.grad`` of another shape or type, and of what torch.func is to differentiate."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.functions.sightings import GivenUnfit
from graphlab.trace.model import Trace

_TRANSFORMS = ("grad", "grad_and_value")


def made_fit(trace: Trace, each: GivenUnfit) -> Iterator[Help]:
    if each.why in ("shape", "type"):
        yield from _assigned(trace, each)
    elif each.why == "saved":
        yield from _on_ctx(trace, each)
    elif each.why == "several":
        yield from _reduced(trace, each)
    else:
        yield from _beside_the_loss(trace, each)


def _assigned(trace: Trace, each: GivenUnfit) -> Iterator[Help]:
    """``p.grad = flat[a:b].reshape(p.shape)`` for a part of a flat gradient, and the like."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or not isinstance(statement, ast.Assign):
        return
    target = statement.targets[0]
    if not isinstance(target, ast.Attribute) or target.attr != "grad":
        return
    own = file.text(target.value)
    if each.why == "type":
        fit = f".to({own}.dtype)"
    else:
        wanted, given = each.shapes
        if given == wanted[::-1] and len(wanted) == 2:
            fit = ".t()"
        elif len(given) == 1 or [n for n in given if n > 1] == [n for n in wanted if n > 1]:
            fit = f".reshape({own}.shape)"
        else:
            return
        if _count(given) != _count(wanted):
            return
    text = message("repairs.given.fit", name=own, fit=fit)
    found = file.help(text, *file.followed(statement.value, fit))
    if found is not None:
        yield found


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for each in shape:
        count *= each
    return count


def _reduced(trace: Trace, each: GivenUnfit) -> Iterator[Help]:
    """The mean, or the sum, of what the function returns."""
    file = Rewriting.of(trace, each.within)
    returned = [*_returned(file, each)] if file is not None else []
    for part in (".mean()", ".sum()"):
        if file is None or len(returned) != 1 or isinstance(returned[0], ast.Tuple):
            return
        loss = file.text(returned[0])
        text = message("repairs.tried.train_on", loss=loss, part=part)
        found = file.help(text, *file.followed(returned[0], part))
        if found is not None:
            yield found


def _beside_the_loss(trace: Trace, each: GivenUnfit) -> Iterator[Help]:
    """``grad(f, has_aux=True)`` for a function that returns a loss and something beside it."""
    inside = Rewriting.of(trace, each.within)
    returned = [*_returned(inside, each)] if inside is not None else []
    if not returned or not all(isinstance(e, ast.Tuple) and len(e.elts) == 2 for e in returned):
        return
    at = each.at or each.within
    files = (Rewriting.of(trace, replace(at, file=path)) if at else None for path in trace.sources)
    calls = [
        (file, node)
        for file in files
        for node in (ast.walk(file.tree) if file is not None else ())
        if file is not None
        and isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in _TRANSFORMS
        and node.args
        and ast.unparse(node.args[0]).rpartition(".")[2] == each.name
    ]
    if len(calls) != 1:
        return
    file, call = calls[0]
    end = file.span(call.keywords[-1].value if call.keywords else call.args[-1])[1]
    found = file.help(message("repairs.given.aux", name=each.name), (end, end, ", has_aux=True"))
    if found is not None:
        yield found


def _returned(file: Rewriting, each: GivenUnfit) -> Iterator[ast.expr]:
    """What the function returns that begins in the line `within`."""
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.FunctionDef) or node.name != each.name or each.within is None:
            continue
        if not node.lineno <= each.within.line <= (node.end_lineno or 0):
            continue
        for one in ast.walk(node):
            mine = isinstance(one, ast.Return) and file.function(one) is node
            if mine and isinstance(one, ast.Return) and one.value is not None:
                yield one.value


def _on_ctx(trace: Trace, each: GivenUnfit) -> Iterator[Help]:
    """``ctx.k = k`` for what save_for_backward() is given and is no tensor, and ``k = ctx.k`` where
    backward unpacks it."""
    file, at = Rewriting.of(trace, each.within), each.within
    saving = file.statement(at.line) if file is not None and at is not None else None
    method = file.function(saving) if file is not None and saving is not None else None
    owner = file.parents.get(id(method)) if file is not None and method is not None else None
    call = saving.value if isinstance(saving, ast.Expr) else None
    if file is None or saving is None or not isinstance(call, ast.Call):
        return
    backwards = [
        one
        for one in getattr(owner, "body", [])
        if isinstance(one, ast.FunctionDef) and one.name == "backward" and one.args.args
    ]
    names = [file.text(one) for one in call.args]
    ctx = file.text(call.func).rpartition(".")[0]
    own = backwards[0].args.args[0].arg if len(backwards) == 1 else ""
    unpacked = [
        one
        for one in (ast.walk(backwards[0]) if own else ())
        if isinstance(one, ast.Assign) and file.text(one.value) == f"{own}.saved_tensors"
    ]
    target = unpacked[0].targets[0] if len(unpacked) == 1 else None
    if not isinstance(target, ast.Tuple) or names.count(each.name) != 1:
        return
    place, given = names.index(each.name), [file.text(one) for one in target.elts]
    if len(given) != len(names) or not each.name.isidentifier():
        return
    theirs = given.pop(place)
    names.pop(place)
    edits = []
    kept = f"{ctx}.{each.name} = {each.name}\n"
    saved = f"{' ' * saving.col_offset}{file.text(call.func)}({', '.join(names)})\n"
    edits.append((*file.whole(saving), f"{' ' * saving.col_offset}{kept}{saved if names else ''}"))
    indent = " " * unpacked[0].col_offset
    tuple_ = f"({given[0]},)" if len(given) == 1 else ", ".join(given)
    rest = f"{indent}{tuple_} = {own}.saved_tensors\n" if given else ""
    edits.append((*file.whole(unpacked[0]), f"{rest}{indent}{theirs} = {own}.{each.name}\n"))
    text = message("repairs.given.on_ctx", name=each.name, ctx=ctx)
    found = file.help(text, *edits)
    if found is not None:
        yield found
