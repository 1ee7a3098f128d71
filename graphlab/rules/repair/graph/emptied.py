"""Repair of a list that is filled in each turn and never emptied: it is, once it was used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

_FILLING = ("append", "extend", "appendleft")
# How the losses of a list are one.
_TOTALS = (
    "torch.stack(_).mean()", "torch.stack(_).sum()", "sum(_)", "sum(_) / len(_)",
    "torch.stack(_).sum() / len(_)",
)  # fmt: skip
# How a list is emptied, by what is written around its name.
_EMPTYING = (
    r"del {name}\[:\]", r"{name}\.clear\(\)", r"{name} = \[\]", r"{name} = list\(\)",
    r"{name}\[:\] = \[\]",
)  # fmt: skip


def emptied(trace: Trace, event: Backward) -> Iterator[Help]:
    """Empty the list that leads to an earlier turn's graph, beside another one that the function of
    the backward empties; else after the backward, or the step that follows it."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    function = file.function(going) if file is not None and going is not None else None
    if file is None or going is None or function is None or event.handed_over:
        return
    for carrier in event.carriers:
        last = re.split(r"[.\[]", re.sub(r"(\[[^\]]*\])+$", "", carrier.name))[-1]
        if carrier.form == "tensor" or not last.isidentifier() or not _only_filled(trace, last):
            continue
        name = _as_read(file, function, last)
        if name is None:
            continue
        beside = _emptying_another(file, function, name)
        after = beside or _after(file, going)
        indent = " " * after.col_offset
        new = f"{name}.clear()"
        if beside is not None:
            # The same words, as one reads them together.
            other = _emptied_by(file, beside)
            new = file.text(beside).replace(other, name, 1)
        place = file.whole(after)[1]
        found = file.help(
            message("repairs.kept_apart.emptied", name=name), (place, place, f"{indent}{new}\n")
        )
        if found is not None:
            # What an earlier turn has gone back from, the next one cannot go back from once more.
            meant = beside is not None or _losses_alone(trace, function, going, last)
            meant = meant or _goes_with_emptied(trace, function, last)
            choice = "" if meant else message("fix.meant.carried", names=[name])
            yield replace(found, choice=choice)


def _losses_alone(trace: Trace, function: Function, going: ast.stmt, last: str) -> bool:
    """Whether the backward goes back from the sum or the mean of what the list holds, which are the
    losses of its turns, and nothing else reads the list."""
    call = going.value if isinstance(going, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    loss = func.value if isinstance(func, ast.Attribute) else None
    if loss is None:
        return False
    made = [
        each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and ast.unparse(loss) in map(ast.unparse, each.targets)
    ]
    value = made[0] if len(made) == 1 else loss
    text = re.sub(rf"(?:self\.)?\b{last}\b", "_", ast.unparse(value))
    nodes = [node for source in trace.sources.values() for node in nodes_in(source)]
    filled = {
        id(node.func.value)
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _FILLING
    }
    reads = [each for each in nodes if _reads(each, last) and id(each) not in filled]
    inside = [each for each in ast.walk(value) if _reads(each, last)]
    return text in _TOTALS and len(reads) == len(inside)


def _goes_with_emptied(trace: Trace, function: Function, last: str) -> bool:
    """Whether the function pairs its items, by zip(), with what it reads or computes from a list
    that the program empties elsewhere: one item a step of the same turn."""
    paired = any(
        isinstance(each, ast.Call)
        and ast.unparse(each.func) == "zip"
        and any(_reads(arg, last) for arg in each.args)
        for each in ast.walk(function)
    )
    names = {name for source in trace.sources.values() for name in _emptied_in(source)}
    others = names - {last} if paired else set[str]()
    return any(_reads(each, name) for each in ast.walk(function) for name in others)


def _emptied_in(source: str) -> Iterator[str]:
    """The attributes that are given an empty list in a loop or in a method beside a constructor,
    or are cleared anywhere."""
    begun = {
        id(inner)
        for each in nodes_in(source)
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        for inner in ast.walk(each)
    }
    for each in nodes_in(source):
        if isinstance(each, ast.Assign) and id(each) not in begun:
            if ast.unparse(each.value) in ("[]", "list()"):
                yield from (t.attr for t in each.targets if isinstance(t, ast.Attribute))
        elif isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            held = each.func.value
            if each.func.attr == "clear" and isinstance(held, ast.Attribute):
                yield held.attr


def _reads(node: ast.AST, last: str) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    load = isinstance(getattr(node, "ctx", None), ast.Load)
    return isinstance(node, ast.Name | ast.Attribute) and name == last and load


def _only_filled(trace: Trace, last: str) -> bool:
    """Whether the program puts something into lists of that name, and takes nothing out."""
    filled = False
    for source in trace.sources.values():
        filled = filled or re.search(rf"\b{last}\.({'|'.join(_FILLING)})\(", source) is not None
        if re.search(rf"\b{last}\.(pop|popleft|remove|clear)\(|\bdel [\w.]*\b{last}\b", source):
            return False
        if len(re.findall(rf"\b{last}\s*(?::[^=\n]+)?=(?!=)", source)) > 1:
            # It is made anew somewhere, perhaps not often enough.
            return False
    return filled


def _as_read(file: Rewriting, function: Function, last: str) -> str | None:
    """How the function calls the list, if it does so in one way."""
    names = {
        ast.unparse(node)
        for node in ast.walk(function)
        if (isinstance(node, ast.Name) and node.id == last)
        or (isinstance(node, ast.Attribute) and node.attr == last)
    }
    return names.pop() if len(names) == 1 else None


def _emptying_another(file: Rewriting, function: Function, name: str) -> ast.stmt | None:
    """The last statement of the function that empties another list, of which it reads as well."""
    found = [
        each
        for each in ast.walk(function)
        if isinstance(each, ast.Delete | ast.Expr | ast.Assign) and _emptied_by(file, each)
    ]
    read = file.text(function)
    kept = [e for e in found if e.lineno > function.lineno and _read_before(read, file, e)]
    return max(kept, key=lambda each: each.lineno, default=None)


def _read_before(text: str, file: Rewriting, emptying: ast.stmt) -> bool:
    """Whether the function also reads what it empties."""
    return text.count(_emptied_by(file, emptying)) > 1


def _emptied_by(file: Rewriting, statement: ast.stmt) -> str:
    text = file.text(statement)
    for pattern in _EMPTYING:
        found = re.fullmatch(pattern.replace("{name}", r"([\w.]+)"), text)
        if found is not None:
            return found[1]
    return ""


def _after(file: Rewriting, going: ast.stmt) -> ast.stmt:
    """The step that follows the backward, or the backward."""
    body = file.body(going)
    later = body[body.index(going) :] if going in body else [going]
    steps = (each for each in later if re.search(r"\.step\(", file.text(each)))
    return next(steps, going)


def filled_detached(trace: Trace, event: Backward) -> Iterator[Help]:
    """``bank.append(z.detach())`` for a list that leads to an earlier turn's graph, and that a turn
    fills after its backward alone: so no gradient of its own is cut off."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at is not None else None
    loop = next((e for e in file.around(going) if isinstance(e, ast.For | ast.While)), None) if (
        file is not None and going is not None
    ) else None  # fmt: skip
    if file is None or going is None or loop is None or event.handed_over:
        return
    for carrier in event.carriers:
        name = re.sub(r"(\[[^\]]*\])+$", "", carrier.name)
        fills = [each for each in ast.walk(loop) if _fills(each) == name]
        call = fills[0] if len(fills) == 1 else None
        if not isinstance(call, ast.Call) or len(call.args) != 1:
            continue
        given = call.args[0]
        kept = isinstance(given, ast.Name | ast.Attribute | ast.Call)
        if not kept or call.lineno <= (going.end_lineno or 0):
            continue
        text = message("repairs.tried.keep_without")
        found = file.help(text, *file.followed(given, ".detach()"))
        if found is not None:
            yield found


def _fills(node: ast.AST) -> str:
    """What a call puts one item into; "" for another node."""
    func = node.func if isinstance(node, ast.Call) else None
    one = isinstance(func, ast.Attribute) and func.attr in ("append", "appendleft")
    return ast.unparse(func.value) if isinstance(func, ast.Attribute) and one else ""


def carries(loop: ast.For | ast.While, names: set[str]) -> bool:
    """Whether one of these is filled in the loop, for other than the sum of what one turn puts in:
    made anew in each turn, it would remember nothing."""
    filled = {
        each.value.func.value.id
        for each in ast.walk(loop)
        if isinstance(each, ast.Expr)
        and isinstance(each.value, ast.Call)
        and isinstance(each.value.func, ast.Attribute)
        and each.value.func.attr in _FILLING
        and isinstance(each.value.func.value, ast.Name)
    } & names
    summed = {
        id(each)
        for call in ast.walk(loop)
        if isinstance(call, ast.Call) and _sums(call)
        for each in ast.walk(call)
    }
    filling = {
        id(each.func.value)
        for each in ast.walk(loop)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in _FILLING
    }
    return any(
        isinstance(each, ast.Name)
        and each.id in filled
        and id(each) not in summed
        and id(each) not in filling
        for each in ast.walk(loop)
    )


def _sums(call: ast.Call) -> bool:
    """Whether it is ``sum(x)``, ``torch.stack(x).mean()`` or the like, or ``len(x)``."""
    said = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    return said in ("sum", "mean", "fmean", "len")
