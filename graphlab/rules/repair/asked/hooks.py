"""Repairs of what a hook returns: what it computed, in the number and type of what it was given."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace
from graphlab.trace.sightings import HookUnreturned


def return_from_hook(trace: Trace, hook: HookUnreturned) -> Help | None:
    """``return grad`` at the end of the hook, in place of a ``return`` or ``pass`` there."""
    file = Rewriting.of(trace, hook.at)
    statement = file.statement(hook.at.line) if file is not None and hook.at is not None else None
    function = file.function(statement) if file is not None and statement is not None else None
    if file is None or function is None or function.name != hook.function:
        return None
    last = function.body[-1]
    if not file.body(last):
        return None
    new = f"{' ' * last.col_offset}return {hook.name}\n"
    start, end = file.whole(last)
    if not isinstance(last, ast.Return | ast.Pass):
        start, new = end, new if file.source[:end].endswith("\n") else "\n" + new
    return file.help(message("repairs.returned.from_hook", name=hook.name), (start, end, new))


def fitting_return(trace: Trace, event: Backward) -> Iterator[Help]:
    """What a hook gives back, as torch takes it: of a module hook's tuple the gradients that are no
    None, as one for each input of the module it was in older versions beside its weights; of a
    tensor's hook, the gradient in the type that it came in."""
    file, at = Rewriting.of(trace, event.cut), event.cut
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return
    function: ast.AST | None = file.function(statement)
    value = statement.value if isinstance(statement, ast.Return) else None
    if value is None:
        lambdas = [each for each in ast.walk(statement) if isinstance(each, ast.Lambda)]
        if len(lambdas) != 1:
            return
        function, value = lambdas[0], lambdas[0].body
    said = trace.exception.message if trace.exception is not None else ""
    if isinstance(value, ast.Tuple) and "number of grad" in said:
        kept = [file.text(each) for each in value.elts if not _is_none(each)]
        if not kept:
            return
        text = message("repairs.returned.one_for_each", names=kept)
        new = f"({', '.join(kept)}{',' if len(kept) == 1 else ''})"
        found = file.help(text, (*file.span(value), new))
    elif "changed the type" in said and isinstance(function, ast.Lambda | ast.FunctionDef):
        given = function.args.args[-1].arg if function.args.args else ""
        text = message("repairs.returned.in_its_type", name=given)
        found = file.help(text, *file.followed(value, f".to({given}.dtype)")) if given else None
    else:
        return
    if found is not None:
        yield found


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
