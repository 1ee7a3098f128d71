"""Repairs of a result where a leaf is needed: what is kept of it without its graph, or a leaf made
of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Refused, Trace


def kept_detached(trace: Trace, made: Location | None) -> Iterator[Help]:
    """``self.last = last.detach()`` for ``self.last = f(x)``, with the result itself in a variable
    for the rest of the method. Not where others read the attribute: they may want its graph."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    target, function = statement.targets[0], file.function(statement)
    if not isinstance(target, ast.Attribute) or function is None:
        return
    inside = {id(each) for each in ast.walk(function)}
    reads = [
        each
        for each in ast.walk(file.tree)
        if isinstance(each, ast.Attribute)
        and each.attr == target.attr
        and isinstance(each.ctx, ast.Load)
    ]
    stores = [
        each
        for each in ast.walk(function)
        if isinstance(each, ast.Attribute)
        and each.attr == target.attr
        and isinstance(each.ctx, ast.Store)
    ]
    taken = {each.id for each in ast.walk(function) if isinstance(each, ast.Name)}
    name = next((each for each in (target.attr, f"new_{target.attr}") if each not in taken), None)
    early = any(each.lineno <= statement.lineno for each in reads if id(each) in inside)
    if len(stores) != 1 or early or any(id(each) not in inside for each in reads) or not name:
        return
    elsewhere = re.compile(rf"\.{target.attr}\b")
    if any(elsewhere.search(text) for path, text in trace.sources.items() if path != file.file):
        return
    indent = " " * statement.col_offset
    lines = f"{indent}{name} = {file.text(statement.value)}\n"
    lines += f"{indent}{file.text(target)} = {name}.detach()\n"
    edits = [(*file.whole(statement), lines), *((*file.span(each), name) for each in reads)]
    found = file.help(message("repairs.asked.leaf_kept"), *edits)
    if found is not None:
        yield found


def leaf_of_result(trace: Trace, made: Location | None) -> Iterator[Help]:
    """``return w.to(d).detach().requires_grad_()`` for ``return w.to(d)``, where nothing else
    uses what it is computed from."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign | ast.Return):
        return
    value = statement.value
    if value is None or isinstance(value, ast.Tuple | ast.List | ast.Dict):
        return
    scope = file.function(statement) or file.tree
    targets = {ast.unparse(each) for each in getattr(statement, "targets", [])}
    used = [each for each in ast.walk(value) if isinstance(each, ast.Name)]
    held = [each for each in ast.walk(value) if isinstance(each, ast.Attribute)]
    local = {
        each.id
        for each in ast.walk(scope)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    names = {each.id for each in used} & local
    later = any(
        isinstance(each, ast.Name) and each.id in names - targets
        for after in ast.walk(scope)
        if isinstance(after, ast.stmt) and after.lineno > (statement.end_lineno or 0)
        for each in ast.walk(after)
    )
    if later or not names or any(_is_own(each) for each in held):
        return
    found = file.help(
        message("repairs.asked.leaf_made"), *file.followed(value, ".detach().requires_grad_()")
    )
    if found is not None:
        yield found


def leaf_each_turn(trace: Trace, made: Location | None) -> Iterator[Help]:
    """``x = f(x).detach().requires_grad_()`` at the end of a turn that reads ``x.grad``, for a
    variable that is a leaf in the first turn alone."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return
    target, body = statement.targets[0], file.body(statement)
    loop = file.parents.get(id(statement))
    if not isinstance(target, ast.Name) or not isinstance(loop, ast.For | ast.While) or not body:
        return
    stores = [
        each
        for each in ast.walk(loop)
        if isinstance(each, ast.Assign) and [ast.unparse(e) for e in each.targets] == [target.id]
    ]
    reads = [
        each.lineno
        for each in ast.walk(loop)
        if isinstance(each, ast.Attribute)
        and each.attr == "grad"
        and ast.unparse(each.value) == target.id
    ]
    last = max(stores, key=lambda each: each.lineno, default=None)
    if last is None or last not in body or not reads or max(reads) > min(e.lineno for e in stores):
        return
    scope = file.function(loop) or file.tree
    first = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Assign)
        and [ast.unparse(e) for e in each.targets] == [target.id]
        and each.lineno < loop.lineno
    ]
    if not first:
        return
    found = file.help(
        message("repairs.asked.leaf_each_turn", name=target.id),
        *file.followed(last.value, ".detach().requires_grad_()"),
    )
    if found is not None:
        yield found


def gradient_kept(trace: Trace, event: Refused, text: str) -> Help | None:
    """``x.retain_grad()`` behind the line that makes a result whose ``.grad`` is read; under a
    condition where another function makes it, as that may also run without a graph."""
    file, made, at = Rewriting.of(trace, event.made), event.made, event.at
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if not isinstance(target, ast.Name | ast.Attribute) or not file.body(statement):
        return None
    name, indent = file.text(target), " " * statement.col_offset
    reading = file.statement(at.line) if at is not None and at.file == file.file else None
    new = f"{indent}{name}.retain_grad()\n"
    if reading is None or file.function(reading) is not file.function(statement):
        new = f"{indent}if {name}.requires_grad:\n{indent}    {name}.retain_grad()\n"
    place = file.whole(statement)[1]
    return file.help(text, (place, place, new))


def _is_own(node: ast.Attribute) -> bool:
    """Whether it is an attribute of `self`, which lives on."""
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def forgotten_before_copy(trace: Trace, event: Refused) -> Iterator[Help]:
    """``module.map = None`` for all modules before a deepcopy of them, for an attribute that is
    None until a forward stores a result there: the next forward does so again."""
    file, at = Rewriting.of(trace, event.at), event.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    holder, _, last = (trace.tensors[event.tensor].name or "").rpartition(".")
    if file is None or statement is None or not holder or not file.body(statement):
        return
    calls = [
        each
        for each in ast.walk(statement)
        if isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] == "deepcopy"
    ]
    empty = re.compile(rf"\bself\.{re.escape(last)}\b(: [^=]+)? = None\b")
    if len(calls) != 1 or not calls[0].args or not last.isidentifier():
        return
    if not any(empty.search(text) for text in trace.sources.values()):
        return
    copied, indent = file.text(calls[0].args[0]), " " * statement.col_offset
    taken = {each.id for each in ast.walk(file.tree) if isinstance(each, ast.Name)}
    name = next(each for each in ("module", "part", "each_module") if each not in taken)
    place = file.whole(statement)[0]
    lines = (
        f"{indent}for {name} in {copied}.modules():\n"
        f'{indent}    if hasattr({name}, "{last}"):\n'
        f"{indent}        {name}.{last} = None\n"
    )
    found = file.help(message("repairs.asked.forgotten", name=last), (place, place, lines))
    if found is not None:
        yield found


def made_plain(trace: Trace, event: Refused) -> Help | None:
    """Leave ``requires_grad=True`` out where a tensor is made whose elements are then assigned, one
    by one, or to which losses are added: they have a graph of their own. Not of what an optimizer
    holds."""
    file, at, name = Rewriting.of(trace, event.at), event.at, trace.tensors[event.tensor].name
    written = file.statement(at.line) if file is not None and at is not None else None
    if file is None or written is None or not name:
        return None
    held = any(event.tensor in each.owns for each in trace.optimizers)
    if held or (_elements_of(written) or _total_of(file, written)) != name:
        return None
    for node in ast.walk(file.function(written) or file.tree):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        call = node.value
        words = [each for each in call.keywords if each.arg == "requires_grad"]
        if [ast.unparse(each) for each in node.targets] != [name] or len(words) != 1:
            continue
        kept = [file.text(each) for each in call.args]
        kept += [file.text(each) for each in call.keywords if each not in words]
        new = f"{file.text(call.func)}({', '.join(kept)})"
        text = message("repairs.asked.plain", name=name, line=node.lineno)
        return file.help(text, (*file.span(call), new))
    return None


def _elements_of(statement: ast.stmt) -> str:
    """``x`` of ``x[i] = y``."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    found = [ast.unparse(each.value) for each in targets if isinstance(each, ast.Subscript)]
    return found[0] if len(found) == 1 else ""


def _total_of(file: Rewriting, statement: ast.stmt) -> str:
    """``x`` of ``x += y``, where nothing asks for a gradient of x, which a weight would have."""
    if not isinstance(statement, ast.AugAssign) or not isinstance(statement.op, ast.Add):
        return ""
    name = ast.unparse(statement.target)
    return "" if f"{name}.grad" in file.source else name
