"""Two names were one parameter, and are two."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.held.building import tied
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.text import listing
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import Replaced, TieBroken


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, TieBroken) or told_with(trace, each):
            continue
        since = f" since {each.by}" if each.by.endswith(")") and len(each.by) < 40 else " now"
        many = "one parameter" if len(each.names) == 2 else "the same parameter"
        yield Finding(
            *RULE.label,
            summary=f"{listing(list(each.names))} were {many} and are not{since}: each is trained "
            "for itself",
            tensor=unversioned(trace, each.tensor) if each.tensor is not None else None,
            cause=Place(each.at, each.by) if each.at is not None else None,
            help=(Help(_again(each)),),
            others=tuple(tied(trace, each.at, each.names)),
        )


def _again(tie: TieBroken) -> str:
    text = "Tie them again after that line, and before the optimizer is built"
    if all(part.isidentifier() for name in tie.names for part in name.split(".")):
        text += f": {tie.names[-1]} = {tie.names[0]}"
    return f"{text}."


def told_with(trace: Trace, tie: TieBroken) -> bool:
    """Whether the line that broke a tie also took the parameters from an optimizer: one mistake,
    which GL104 tells."""
    return any(
        isinstance(each, Replaced)
        and each.at == tie.at
        and set(each.tensors) & set(trace.optimizers[each.optimizer].strangers)
        for each in trace.sightings
    )


RULE = Rule("GL117", "tie-broken", "warning", check)
