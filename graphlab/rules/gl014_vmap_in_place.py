"""A write under vmap put mapped values into a tensor that is not mapped."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import made_by, refused_operations
from graphlab.rules.repair.calls import mapped_like_the_input
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(
        RULE, trace, "unmapped", _summary, _help, True, mapped_like_the_input
    )


def _summary(event: Refused, name: str) -> str:
    made = f" ({made_by(event)})" if event.made is not None else ""
    return (
        f"{name}{made} is one tensor for all that vmap maps: {event.by} puts mapped values into it"
    )


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    yield Help(
        f"Make {name} from a mapped tensor, such as x.new_zeros(…) instead of torch.zeros(…), so "
        "that it is mapped too, or build the result out of place with torch.stack, cat or where."
    )


RULE = Rule("GL014", "vmap-in-place", "error", check)
