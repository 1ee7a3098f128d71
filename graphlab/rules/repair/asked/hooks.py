"""Repair of a hook that does not return what it computed."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
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
