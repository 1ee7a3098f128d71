"""DistributedDataParallel waited for gradients that the last backward never computed."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.text import plural
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import Unfinished


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Unfinished) or not each.tensors:
            continue
        name = trace.tensors[each.tensors[0]].name or "a parameter"
        more = len(each.tensors) - 1
        what = f"{name} and {plural(more, 'other parameter')}" if more else name
        failure = trace.exception
        yield Finding(
            *RULE.label,
            summary=_summary(each, what),
            iteration=failure.iteration if failure is not None else None,
            tensor=unversioned(trace, each.tensors[0]),
            cause=_cause(each),
            failed=Place(each.at, each.call),
            help=(Help(_help(each, what)),),
        )


def _summary(each: Unfinished, what: str) -> str:
    if each.why == "more":
        return (
            f"{each.call} reaches {what}{_line(each.used, ', used in line {}')}, which the first "
            "backward did not, and static_graph=True promised DistributedDataParallel that it "
            "would always be the same parameters"
        )
    backward = f"{each.backward}{_line(each.backward_at, ' in line {}')}"
    if each.static:
        return (
            f"{backward} did not reach {what}{_line(each.used, ' (last used in line {})')}, which "
            "the first backward did; static_graph=True promised DistributedDataParallel that it "
            f"would always be the same parameters, and {each.call} refuses to go on"
        )
    why = {
        "frozen": f", which {each.cause_by or 'something'} froze after the wrapper was built",
        "cut": f", cut off by {each.cause_by}",
        "uncalled": ", which no forward uses",
        "more": "",
        "": _line(each.used, " (computed with in line {})"),
    }[each.why]
    return (
        f"{backward} did not reach {what}{why}; DistributedDataParallel waits for every parameter, "
        f"so the gradients were never averaged, and {each.call} refuses to go on"
    )


def _line(at: Location | None, text: str) -> str:
    return text.format(at.line) if at is not None else ""


def _cause(each: Unfinished) -> Place:
    if each.static and each.used is not None:
        return Place(each.used, "the use of a parameter in some iterations only")
    if each.cause is not None:
        by = "what no forward uses" if each.why == "uncalled" else each.cause_by
        return Place(each.cause, by)
    return Place(each.loss_at or each.backward_at, each.backward)


def _help(each: Unfinished, what: str) -> str:
    if each.static:
        return (
            "Use the same parameters in every iteration, or pass find_unused_parameters=True to "
            "DistributedDataParallel instead of static_graph=True."
        )
    if each.why == "frozen":
        return (
            f"Freeze {what} before DistributedDataParallel is built, or build it again after that."
        )
    return (
        "Let the loss depend on every parameter, or pass find_unused_parameters=True to "
        "DistributedDataParallel."
    )


RULE = Rule("GL305", "unfinished-reduction", "error", check)
