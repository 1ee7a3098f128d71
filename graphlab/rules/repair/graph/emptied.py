"""Repair of a list that is filled in each turn and never emptied: it is, once it was used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

_FILLING = ("append", "extend", "appendleft")
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
            choice = "" if beside is not None else message("fix.meant.carried", names=[name])
            yield replace(found, choice=choice)


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
