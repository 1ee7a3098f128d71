"""A view, or its base, was written in place in a way that autograd forbids."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_writes
from graphlab.rules.repair.reordered import copy_before_write, view_after_write
from graphlab.rules.repair.writes import write_out_of_place
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_writes(
        RULE,
        trace,
        "view",
        "{name} is a view that autograd cannot follow an in-place write through: {by}",
        (
            "Write out of place into a new tensor, or write to `{name}.clone()`.",
            "To change the base, index the base itself instead of a view from unbind, split, chunk "
            "or no_grad.",
        ),
        _apart,
        lambda trace, event: copy_before_write(trace, event.at),
    )
    for event in trace.events:
        if isinstance(event, Refused) and event.kind == "view" and not event.by:
            yield _base_written(trace, event)


def _apart(trace: Trace, event: Refused) -> Help | None:
    why = "autograd cannot follow a write through this view"
    return write_out_of_place(trace, event.at, event.by, why) if event.at is not None else None


def _base_written(trace: Trace, event: Refused) -> Finding:
    """The finding for a use of the view after its base was written."""
    tensor = trace.tensors[event.tensor]
    by = event.written_by or "a write that was not seen"
    return Finding(
        *RULE.label,
        summary=f"{tensor.name} is a view that autograd has lost: {by} wrote to what it is a view "
        "of, and then it was used",
        iteration=event.iteration,
        tensor=Versions(tensor, None, None),
        mutated=Place(event.written, by) if event.written is not None else None,
        failed=Place(event.at, event.at.code if event.at is not None else "its use"),
        cause=Place(event.made, "the view is made") if event.made is not None else None,
        help=(
            Help(
                "Write out of place into a new tensor, or make the view again after the write. "
                "Views from unbind, split and chunk do not outlive a write to their base."
            ),
        ),
        others=tuple(view_after_write(trace, event.made, event.written)),
    )


RULE = Rule("GL004", "view-modified-in-place", "error", check)
