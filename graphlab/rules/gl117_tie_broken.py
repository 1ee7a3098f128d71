"""Two names were one parameter, and are two."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.held.building import tied
from graphlab.rules.repair.held.tied_elements import one_parameter
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import Replaced, TieBroken


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, TieBroken) or told_with(trace, each):
            continue
        if each.shared:
            yield _shared(trace, each)
            continue
        since = message("training.gl117.now")
        if each.by.endswith(")") and len(each.by) < 40:
            since = message("training.gl117.since", by=each.by)
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl117.{'pair' if len(each.names) == 2 else 'several'}",
                names=listing(each.names),
                since=since,
            ),
            tensor=unversioned(trace, each.tensor) if each.tensor is not None else None,
            cause=Place(each.at, each.by) if each.at is not None else None,
            help=(Help(_again(each)),),
            others=tuple(tied(trace, each.at, each.names)),
        )


def _shared(trace: Trace, tie: TieBroken) -> Finding:
    """Two parameters with the same elements: whoever wrote that meant one."""
    edit = one_parameter(trace, tie.at)
    return Finding(
        *RULE.label,
        summary=message("training.gl117.shared", names=listing(tie.names)),
        tensor=unversioned(trace, tie.tensor) if tie.tensor is not None else None,
        cause=Place(tie.at, tie.by) if tie.at is not None else None,
        help=(edit or Help(message("training.gl117.assign")),),
    )


def _again(tie: TieBroken) -> str:
    if all(part.isidentifier() for name in tie.names for part in name.split(".")):
        return message("training.gl117.tie_so", last=tie.names[-1], first=tie.names[0])
    return message("training.gl117.tie")


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
