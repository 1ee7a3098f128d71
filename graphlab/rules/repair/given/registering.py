"""Repairs of what a module keeps where parameters() does not find it: in a list, or plain."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, TensorInfo, Trace

LISTS = {ast.List: "ModuleList", ast.ListComp: "ModuleList", ast.Dict: "ModuleDict",
         ast.DictComp: "ModuleDict"}  # fmt: skip


def registered(trace: Trace, made: Location | None, missing: Sequence[TensorInfo]) -> list[Help]:
    """Make what the statement at `made` makes a part of its module: a ModuleList for a list, a
    Parameter for a tensor."""
    file = Rewriting.of(trace, made)
    statement = file.statement(made.line) if file is not None and made is not None else None
    if file is None or not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    value = statement.value
    nn = "nn" if "nn." in file.source else "torch.nn"
    if value is None:
        return []
    kind = LISTS.get(type(value)) or _indexed(statement, missing)
    start, end = file.span(value)
    text = file.text(value)
    if kind is not None:
        # The members are parameters themselves where no attribute follows the index.
        if all((each.name or "").endswith("]") for each in missing):
            kind = kind.replace("Module", "Parameter")
        new = f"{nn}.{kind}({text if text not in ('[]', '{}') else ''})"
        listed = file.help(message("repairs.tried.make_kind", kind=kind), (start, end, new))
        return [listed] if listed is not None else []
    inner = next(
        (
            each
            for each in ast.walk(value)
            if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("Parameter")
        ),
        None,
    )
    if inner is None:
        new = f"{nn}.Parameter({text})"
    elif inner is value or len(inner.args) != 1:
        return []
    else:
        # ``nn.Parameter(x).to(y)`` is a result; ``nn.Parameter(x.to(y))`` is a parameter.
        given, (first, last) = inner.args[0], file.span(inner)
        rest = file.source[start:first], file.source[last:end]
        plain = isinstance(given, ast.Call | ast.Name | ast.Attribute)
        held = file.text(given) if plain else f"({file.text(given)})"
        new = f"{file.text(inner.func)}({rest[0]}{held}{rest[1]})"
    made_one = file.help(message("repairs.tried.make_parameter"), (start, end, new))
    return [made_one] if made_one is not None else []


def _indexed(statement: ast.Assign | ast.AnnAssign, missing: Sequence[TensorInfo]) -> str | None:
    """What holds what is stored in ``self.blocks``, where all that is missing has an index there:
    the value may be a call of list(), or any other that gives a list."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    if not isinstance(target, ast.Attribute):
        return None
    names = [each.name or "" for each in missing]
    kinds = {r"\[\d": "ModuleList", r"\[['\"]": "ModuleDict"}
    return next(
        (
            kind
            for index, kind in kinds.items()
            if names and all(re.search(rf"\b{target.attr}{index}", each) for each in names)
        ),
        None,
    )
