"""What GL005, GL006 and GL007 share: a backward that autograd refused outright."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Backward, Trace


def findings(
    trace: Trace,
    trouble: str,
    code: str,
    name: str,
    summary: str,
    help: str,
    repair: Callable[[Trace, Backward], Help | None] = lambda trace, event: None,
) -> Iterator[Finding]:
    """`help` is said where `repair` knows no better."""
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward) or event.trouble != trouble or event.at in told:
            continue
        told.add(event.at)
        tensor = trace.tensors[event.subject] if event.subject is not None else None
        called = tensor.name if tensor is not None and tensor.name else event.loss
        words = {
            "name": called,
            "call": event.call,
            "loss": event.loss,
            "shape": list(tensor.shape) if tensor is not None else "",
            "cut": f"{event.cut_by} in line {event.cut.line}" if event.cut else "",
        }
        if event.cut is None:
            summary = summary.replace(": {cut} cut it off", "")
        yield Finding(
            code=code,
            name=name,
            severity="error",
            summary=summary.format(**words),
            iteration=event.iteration,
            tensor=Versions(tensor, None, None) if tensor is not None else None,
            failed=Place(event.at, event.call),
            cause=Place(event.cut, event.cut_by) if event.cut is not None else None,
            help=(repair(trace, event) or Help(help.format(**words)),),
        )
