"""DistributedDataParallel waited for gradients that the last backward never computed."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.text import plural
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import Unfinished


def check(trace: Trace) -> Iterator[Finding]:
    failure = trace.exception
    if failure is None or failure.type != "RuntimeError" or failure.at is None:
        return
    for each in trace.sightings:
        if not isinstance(each, Unfinished) or each.at is None or not each.tensors:
            continue
        if (each.at.file, each.at.line) != (failure.at.file, failure.at.line):
            continue
        name = trace.tensors[each.tensors[0]].name or "a parameter"
        more = len(each.tensors) - 1
        others = f" and {plural(more, 'other parameter')}" if more else ""
        line = f" in line {each.backward_at.line}" if each.backward_at is not None else ""
        used = f" (computed with in line {each.used.line})" if each.used is not None else ""
        yield Finding(
            *RULE.label,
            summary=f"{each.backward}{line} did not reach {name}{others}{used}, for which "
            f"DistributedDataParallel waits: the gradients were never averaged, and {each.call} "
            "refuses to go on",
            iteration=failure.iteration,
            tensor=unversioned(trace, each.tensors[0]),
            cause=Place(each.loss_at or each.backward_at, each.backward),
            failed=Place(each.at, each.call),
            help=(
                Help(
                    "Let the loss depend on every parameter, or pass find_unused_parameters=True "
                    "to DistributedDataParallel."
                ),
            ),
        )


RULE = Rule("GL305", "unfinished-reduction", "warning", check)
