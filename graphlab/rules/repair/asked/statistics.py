"""Repair of batch norms whose running statistics a transform of torch.func cannot update."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_NORMS = re.compile(r"(Lazy)?(Sync)?BatchNorm\d?d?")
_LAST = "track_running_stats"


def without_statistics(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``nn.BatchNorm2d(8, track_running_stats=False)`` where the one file that builds batch norms
    does so. Evaluation then uses each batch's own statistics, which the program need not mean."""
    files = (Rewriting.of(trace, replace(at, file=each)) if at else None for each in trace.sources)
    built = [(each, [*_built(each)]) for each in files if each is not None]
    built = [(each, calls) for each, calls in built if calls]
    if len(built) != 1:
        return
    file, calls = built[0]
    edits = []
    for call in calls:
        if any(word.arg is None for word in call.keywords) or len(call.args) > 4:
            return
        told = next((word for word in call.keywords if word.arg == _LAST), None)
        end = file.span(call)[1] - 1
        given = bool(call.args or call.keywords) and not file.source[:end].rstrip().endswith(",")
        if told is not None:
            edits.append((*file.span(told.value), "False"))
        else:
            edits.append((end, end, f"{', ' if given else ''}{_LAST}=False"))
    evaluates = any(re.search(r"\.eval\(\)|\.train\(", text) for text in trace.sources.values())
    found = file.help(message("repairs.asked.no_statistics"), *edits)
    if found is not None:
        yield replace(found, choice=message("fix.meant.statistics") if evaluates else "")


def _built(file: Rewriting) -> Iterator[ast.Call]:
    for each in ast.walk(file.tree):
        name = ast.unparse(each.func).rpartition(".")[2] if isinstance(each, ast.Call) else ""
        if isinstance(each, ast.Call) and _NORMS.fullmatch(name):
            yield each
