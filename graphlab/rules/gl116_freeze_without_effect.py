"""A flag that should freeze a module, or its parameters, and does not."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import first_of
from graphlab.rules.repair.trained.frozen import gradient_dropped
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import parameter_word
from graphlab.source.blocks import StatementInScope
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import FrozenMoved, NoFreeze


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, FrozenMoved):
            yield _moved(trace, each)
        if not isinstance(each, NoFreeze):
            continue
        names = [parameter_word(trace, at) for at in each.tensors]
        what = f"{each.holder}.{each.flag} = {each.thaws}"
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl116.{_kind(each)}",
                what=what,
                names=first_of(names),
                count=len(names),
                optimizer=trace.optimizers[each.optimizer].name,
            ),
            tensor=unversioned(trace, each.tensors[0]),
            cause=Place(each.at, what) if each.at is not None else None,
            help=(_help(trace, each),),
            notes=(message(f"training.gl116.{'frozen' if each.thaws else 'all'}", names=names),)
            if len(names) > 1
            else (),
        )


def _kind(each: NoFreeze) -> str:
    if each.thaws:
        return "thaws"
    return "module" if each.on_module else "parameter"


def _moved(trace: Trace, each: FrozenMoved) -> Finding:
    names = [parameter_word(trace, at) for at in each.tensors]
    optimizer = trace.optimizers[each.optimizer].name
    return Finding(
        *RULE.label,
        summary=message(
            f"training.gl116.{'moved' if each.zeros else 'stale'}",
            names=first_of(names),
            count=len(names),
            optimizer=optimizer,
        ),
        tensor=unversioned(trace, each.tensors[0]),
        cause=Place(each.at, each.by) if each.at is not None else None,
        failed=Place(each.step_at, f"{optimizer}.step()"),
        help=(
            gradient_dropped(trace, each.at)
            or Help(message("training.gl116.drop", optimizer=optimizer)),
        ),
        notes=(message("training.gl116.moved_all", names=names),) if len(names) > 1 else (),
    )


def _help(trace: Trace, each: NoFreeze) -> Help:
    new = (
        f"{each.holder}.requires_grad_({each.thaws})"
        if each.on_module
        else f"{each.holder}.requires_grad = False"
    )
    here = StatementInScope.of(trace, each.at) if each.at is not None else None
    if here is not None and here.text(here.statement) == (
        f"{each.holder}.{each.flag} = {each.thaws}"
    ):
        return here.help(message("training.gl116.set_it"), new)
    return Help(message("training.gl116.set_it_so", new=new))


RULE = Rule("GL116", "freeze-without-effect", "warning", check)
