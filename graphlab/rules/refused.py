"""What GL003 and GL004 share: a write that autograd refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Refused, Trace


def findings(
    trace: Trace,
    kind: str,
    code: str,
    name: str,
    summary: str,
    help: tuple[str, str],
    repair: Callable[[Trace, Refused], Help | None],
) -> Iterator[Finding]:
    """`help` is two ways out; where `repair` finds the edit for the first, that is shown."""
    told = set()
    for event in trace.events:
        if not isinstance(event, Refused) or event.kind != kind or event.at in told or not event.by:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.tensor]
        edit = repair(trace, event)
        first, second = (each.format(name=tensor.name or "x") for each in help)
        called = tensor.name or f"a tensor of shape {list(tensor.shape)}"
        yield Finding(
            code=code,
            name=name,
            severity="error",
            summary=summary.format(name=called, by=event.by),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None),
            failed=Place(event.at, event.by),
            cause=Place(event.made, "the view is made") if event.made is not None else None,
            help=(edit or Help(first), Help(second)),
        )
