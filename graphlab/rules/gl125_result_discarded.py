"""A statement computed something of a tensor, stored it nowhere and changed nothing."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import Message, message
from graphlab.rules.repair.trained.stored import assigned, changed, written
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ResultDiscarded


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ResultDiscarded) and each.idle:
            yield _idle(trace, each)
        elif isinstance(each, ResultDiscarded):
            yield Finding(
                *RULE.label,
                summary=_summary(each),
                cause=Place(each.at, _cause(each)),
                help=(Help(message(f"training.gl125.{_help(each)}", written=each.written)),),
                others=tuple(assigned(trace, each) if each.anew else written(trace, each)),
            )


def _idle(trace: Trace, each: ResultDiscarded) -> Finding:
    """A statement that computes nothing at all."""
    found = changed(trace, each)
    return Finding(
        *RULE.label,
        summary=message(f"training.gl125.{each.idle}", call=each.call, written=each.written),
        cause=Place(each.at, each.call),
        help=(found or Help(message(f"training.gl125.{each.idle}_help", written=each.written)),),
    )


def _summary(each: ResultDiscarded) -> Message:
    if each.anew:
        return message("training.gl125.anew", name=each.written)
    if not each.rebound:
        return message("training.gl125.summary", call=each.call)
    return message("training.gl125.rebound", name=each.call)


def _cause(each: ResultDiscarded) -> str | Message:
    if each.anew:
        return message("training.gl125.anew_here")
    return message("training.gl125.renamed", name=each.call) if each.rebound else each.call


def _help(each: ResultDiscarded) -> str:
    if each.anew:
        return "anew_help"
    return "store" if each.stored else "write" if each.rebound else "help"


RULE = Rule("GL125", "result-discarded", "warning", check)
