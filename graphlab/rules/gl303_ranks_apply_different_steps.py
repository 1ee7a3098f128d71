"""The ranks had the same gradients and updated their parameters differently."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import ranks_in_words
from graphlab.trace.ranks.sightings import StepsApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, StepsApart):
            continue
        optimizer = trace.optimizers[each.optimizer]
        call = f"{optimizer.name}.step()"
        cause: Place | None = None
        differs = "; ".join(each.differs)
        if each.why == "written":
            by = each.by or "something that was not seen"
            who = ranks_in_words(each.ranks)
            said = (
                f"the ranks had the same gradients after the backward, then {by} changed those of "
                f"{who}, and {call} applies different steps"
            )
            help = f"Let every rank do the same to its gradients before {call}."
            cause = Place(each.cause, by) if each.cause is not None else None
        elif each.why == "rate":
            said = f"{call} has another learning rate on each rank ({differs})"
            help = "Give every rank the same learning rate, and step its scheduler on all of them."
            cause = Place(optimizer.at, f"{optimizer.class_name}(…)")
        elif each.why == "settings":
            said = f"{call} has other settings on each rank ({differs})"
            help = "Give every rank's optimizer the same settings."
            cause = Place(optimizer.at, f"{optimizer.class_name}(…)")
        else:
            said = (
                f"the ranks' parameters differ before {call}, though their gradients are the same"
            )
            help = "Write to parameters on every rank alike, or broadcast them afterwards."
        yield Finding(
            *RULE.label,
            summary=said,
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]) if each.tensors else None,
            cause=cause,
            failed=Place(each.at, call),
            help=(Help(help),),
            ranks=each.ranks,
        )


RULE = Rule("GL303", "ranks-apply-different-steps", "warning", check)
