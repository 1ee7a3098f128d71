"""The ranks had the same gradients and updated their parameters differently."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
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
        by = each.by or message("ranks.gl303.unseen")
        cause: Place | None = None
        if each.why == "written":
            cause = Place(each.cause, by) if each.cause is not None else None
        elif each.why in ("rate", "settings"):
            cause = Place(optimizer.at, f"{optimizer.class_name}(…)")
        words = {
            "name": optimizer.name,
            "by": by,
            "ranks": ranks_in_words(each.ranks) if each.ranks else "",
            "differs": "; ".join(each.differs),
        }
        yield Finding(
            *RULE.label,
            summary=message(f"ranks.gl303.{each.why}", **words),
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]) if each.tensors else None,
            cause=cause,
            failed=Place(each.at, f"{optimizer.name}.step()"),
            help=(Help(message(f"ranks.gl303.{each.why}_help", **words)),),
            ranks=each.ranks,
        )


RULE = Rule("GL303", "ranks-apply-different-steps", "warning", check)
