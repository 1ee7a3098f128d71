"""A view, or its base, was written in place in a way that autograd forbids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.refusals import refused_writes
from graphlab.rules.repair.anew.listed import list_made_anew
from graphlab.rules.repair.inplace_modules import built_not_in_place
from graphlab.rules.repair.reordered import copy_before_write, rows_stacked, view_after_write
from graphlab.rules.repair.writes import write_out_of_place
from graphlab.rules.rule import Rule
from graphlab.rules.words import tensor_word
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Refused, Trace
from graphlab.trace.values import IN_PLACE


def check(trace: Trace) -> Iterator[Finding]:
    for finding in _refused(trace):
        by = finding.failed.what if finding.failed is not None else ""
        module = by.removesuffix(IN_PLACE) if isinstance(by, str) else by
        if module != by:
            # It is no statement of the program's that could be written otherwise.
            told = Help(message("errors.gl004.build_it", name=module))
            finding = replace(finding, help=(told,))
        yield finding
    for event in trace.events:
        if isinstance(event, Refused) and event.kind == "view" and not event.by:
            yield _base_written(trace, event)


def _refused(trace: Trace) -> Iterator[Finding]:
    return refused_writes(
        RULE,
        trace,
        "view",
        "errors.gl004.summary",
        ("errors.gl004.out_of_place", "errors.gl004.index_the_base"),
        _apart,
        lambda trace, event: (
            *rows_stacked(trace, event.at),
            *copy_before_write(trace, event.at),
            *built_not_in_place(trace, event.at),
            *list_made_anew(trace, event.at),
        ),
    )


def _apart(trace: Trace, event: Refused) -> Help | None:
    why = message("errors.gl004.why")
    return write_out_of_place(trace, event.at, event.by, why) if event.at is not None else None


def _base_written(trace: Trace, event: Refused) -> Finding:
    """The finding for a use of the view after its base was written."""
    tensor = trace.tensors[event.tensor]
    by = event.written_by or message("errors.gl004.unseen_write")
    return Finding(
        *RULE.label,
        summary=message("errors.gl004.lost", name=tensor_word(tensor), by=by),
        iteration=event.iteration,
        tensor=Versions(tensor, None, None),
        mutated=Place(event.written, by) if event.written is not None else None,
        failed=Place(event.at, event.at.code if event.at else message("errors.gl004.its_use")),
        cause=Place(event.made, message("errors.refused.view_made")) if event.made else None,
        help=(Help(message("errors.gl004.lost_help")),),
        others=tuple(view_after_write(trace, event.made, event.written)),
    )


RULE = Rule("GL004", "view-modified-in-place", "error", check)
