"""Repair of a module that takes the sequence first: it is told that the batch comes first."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.examples.sightings import BatchReadAsTime
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace

_WORD = "batch_first"


def told_batch_first(trace: Trace, each: BatchReadAsTime) -> Help | None:
    """``nn.LSTM(8, 16, batch_first=True)``."""
    file = Rewriting.of(trace, each.built)
    statement = file.statement(each.built.line) if file is not None and each.built else None
    calls = [
        node
        for node in (ast.walk(statement) if statement is not None else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == each.kind
    ]
    if file is None or len(calls) != 1:
        return None
    call = calls[0]
    if any(word.arg is None for word in call.keywords):
        return None
    told = next((word for word in call.keywords if word.arg == _WORD), None)
    end = file.span(call)[1] - 1
    given = bool(call.args or call.keywords) and not file.source[:end].rstrip().endswith(",")
    edit = (
        (*file.span(told.value), "True")
        if told is not None
        else (end, end, f"{', ' if given else ''}{_WORD}=True")
    )
    return file.help(message("repairs.examples.batch_first", kind=each.kind), edit)
