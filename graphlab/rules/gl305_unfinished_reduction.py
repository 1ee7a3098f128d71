"""DistributedDataParallel waited for gradients that the last backward never computed."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.options import finds_unused
from graphlab.rules.repair.ranks.replicas import wrapped_again
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import in_line, parameter_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, Trace
from graphlab.trace.ranks.sightings import DDP, Unfinished, Wrapped


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Unfinished) or not each.tensors:
            continue
        what = parameter_word(trace, each.tensors[0])
        more = len(each.tensors) - 1
        if more:
            what = message("ranks.and_others", name=what, count=more)
        failure = trace.exception
        yield Finding(
            *RULE.label,
            summary=_summary(each, what),
            iteration=failure.iteration if failure is not None else None,
            tensor=unversioned(trace, each.tensors[0]),
            cause=_cause(each),
            failed=Place(each.at, each.call),
            help=_repairs(trace, each, what),
        )


def _summary(each: Unfinished, what: str) -> str:
    words = {
        "what": what,
        "call": each.call,
        "backward": each.backward,
        "line": in_line(each.backward_at),
        "by": each.cause_by,
    }
    used = each.used
    if each.why == "more":
        return message("ranks.gl305.more", used=_used("used", used), **words)
    if each.static:
        return message("ranks.gl305.static", used=_used("last_used", used), **words)
    if each.why == "frozen":
        words["by"] = each.cause_by or message("ranks.gl305.something")
    if each.why:
        return message(f"ranks.gl305.{each.why}", **words)
    return message("ranks.gl305.summary", used=_used("computed_with", used), **words)


def _used(key: str, at: Location | None) -> str:
    return message(f"ranks.gl305.{key}", line=at.line) if at is not None else ""


def _cause(each: Unfinished) -> Place:
    if each.static and each.used is not None:
        return Place(each.used, message("ranks.gl305.some_iterations"))
    if each.cause is not None:
        uncalled = each.why == "uncalled"
        by = message("ranks.gl305.what_no_forward_uses") if uncalled else each.cause_by
        return Place(each.cause, by)
    return Place(each.loss_at or each.backward_at, each.backward)


def _repairs(trace: Trace, each: Unfinished, what: str) -> tuple[Help, ...]:
    text = Help(_help(each, what))
    if each.why in ("frozen", "replaced"):
        # What is there now is none of those that the wrapper knows.
        wrappers = [e.at for e in trace.sightings if isinstance(e, Wrapped) and e.kind == DDP]
        built = wrappers[0] if len(wrappers) == 1 else None
        again = wrapped_again(trace, built, each.cause)
        return (again,) if again is not None else (text,)
    if each.why == "cut":
        return (text,)
    repair = finds_unused(trace, each.tensors)
    return (text, repair) if repair is not None else (text,)


def _help(each: Unfinished, what: str) -> str:
    if each.static:
        return message("ranks.gl305.static_help")
    if each.why == "frozen":
        return message("ranks.gl305.frozen_help", what=what)
    if each.why == "replaced":
        return message("ranks.gl305.replaced_help")
    return message("ranks.gl305.help")


RULE = Rule("GL305", "unfinished-reduction", "error", check)
