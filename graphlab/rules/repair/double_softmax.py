"""Repair of a softmax before a loss that has one."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.blocks import StatementInScope
from graphlab.source.vocabulary import LIBRARIES
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_NAMES = ("softmax", "log_softmax", "sigmoid")


def without_softmax(trace: Trace, at: Location | None) -> Help | None:
    """Leave the one call of softmax() or the like out of the statement at `at`."""
    there = StatementInScope.of(trace, at) if at is not None else None
    if there is None:
        return None
    calls = [
        node
        for node in ast.walk(there.statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute | ast.Name)
        and ast.unparse(node.func).rsplit(".", 1)[-1] in _NAMES
    ]
    if len(calls) != 1:
        return None
    call = calls[0]
    inner = call.args[0] if call.args else None
    if (
        isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func).split(".")[0] not in LIBRARIES
    ):
        inner = call.func.value
    if inner is None:
        return None
    whole, bare = there.text(there.statement), there.text(inner)
    new = whole.replace(there.text(call), bare, 1)
    if new == whole or "\n" in whole:
        return None
    return there.help(message("repairs.double_softmax.leave_out"), new)
