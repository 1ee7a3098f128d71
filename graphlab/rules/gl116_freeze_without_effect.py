"""A flag that should freeze a module, and does not."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.source.blocks import StatementInScope
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import NoFreeze


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, NoFreeze):
            continue
        names = [trace.tensors[at].name or "a parameter" for at in each.tensors]
        more = f" and {len(names) - 1} more go" if len(names) > 1 else " goes"
        what = f"{each.holder}.{each.flag} = False"
        why = "a module has no such flag" if each.on_module else "a parameter has no such flag"
        optimizer = trace.optimizers[each.optimizer].name
        yield Finding(
            *RULE.label,
            summary=f"{what} freezes nothing, as {why}: {names[0]}{more} on being trained by "
            f"{optimizer}",
            tensor=unversioned(trace, each.tensors[0]),
            cause=Place(each.at, what) if each.at is not None else None,
            help=(_help(trace, each),),
            notes=(f"trained all the same: {', '.join(names)}",) if len(names) > 1 else (),
        )


def _help(trace: Trace, each: NoFreeze) -> Help:
    new = (
        f"{each.holder}.requires_grad_(False)"
        if each.on_module
        else f"{each.holder}.requires_grad = False"
    )
    here = StatementInScope.of(trace, each.at) if each.at is not None else None
    if here is not None and here.text(here.statement) == f"{each.holder}.{each.flag} = False":
        return here.help("Set it on the parameters.", new)
    return Help(f"Set it on the parameters: {new}.")


RULE = Rule("GL116", "freeze-without-effect", "warning", check)
