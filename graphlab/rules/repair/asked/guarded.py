"""Repair of a write that needs no gradient, in a file that does not import torch yet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.writes import is_write
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_OFFERED = re.compile(r"^import torch$", re.MULTILINE)


def guarded_and_imported(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Put the write at `at`, and those directly after it, under no_grad, which the file is to
    import or knows by another name than torch."""
    file = Rewriting.of(trace, at)
    first = file.statement(at.line) if file is not None and at is not None else None
    known = file.torch() if file is not None else None
    if file is None or first is None or known is None or _OFFERED.search(file.source):
        return
    body = file.body(first)
    if first not in body or not is_write(first):
        return
    last = first
    for each in body[body.index(first) + 1 :]:
        if not is_write(each):
            break
        last = each
    name, imports = known
    edit = file.under(f"with {name}.no_grad()", first, last)
    found = file.help(message("repairs.writes.under_no_grad"), *imports, edit)
    if found is not None:
        yield found
