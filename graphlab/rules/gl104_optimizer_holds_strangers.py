"""An optimizer holds parameters that no live module uses any more."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.held.building import bound_again, build_again
from graphlab.rules.repair.held.made_once import made_in_constructor
from graphlab.rules.repair.ranks.options import built_after_sharding
from graphlab.rules.rule import Rule
from graphlab.rules.steps import last_step, unversioned
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, OptimizerInfo, Trace
from graphlab.trace.module_sightings import Replaced, TieBroken


def check(trace: Trace) -> Iterator[Finding]:
    for index, optimizer in enumerate(trace.optimizers):
        if not optimizer.strangers or optimizer.steps < 2:
            continue
        step = last_step(trace, index)
        known = _replaced(trace, index)
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl104.summary",
                name=optimizer.name,
                count=len(optimizer.strangers),
                how=_how(known, optimizer),
            ),
            iteration=step.iteration if step is not None else None,
            tensor=unversioned(trace, optimizer.strangers[0]),
            failed=Place(step.at, f"{optimizer.name}.step()") if step is not None else None,
            cause=_cause(trace, index, known),
            help=(
                Help(message("training.gl103.make_once"))
                if _in_forward(known)
                else Help(message("training.gl104.one_of_both"))
                if _for_another(known, optimizer)
                else Help(message("training.gl104.help", name=optimizer.name)),
            ),
            others=(
                *made_in_constructor(
                    trace,
                    known.at if known is not None else None,
                    [trace.tensors[at] for at in optimizer.strangers],
                ),
                *filter(None, [built_after_sharding(trace, optimizer.at)]),
                *build_again(
                    trace,
                    optimizer.at,
                    known.at if known is not None else _rebound(trace, optimizer),
                ),
            ),
            notes=(*_untrained(trace), *_built(trace, index, known)),
        )


def _rebound(trace: Trace, optimizer: OptimizerInfo) -> Location | None:
    """The one line below the optimizer's that binds the variable of its strangers' module anew."""
    owners = {trace.tensors[at].owner for at in optimizer.strangers} - {None}
    if optimizer.at is None or len(owners) != 1:
        return None
    return bound_again(trace, optimizer.at, str(owners.pop()))


def _replaced(trace: Trace, index: int) -> Replaced | None:
    """What is known of how the parameters of an optimizer were replaced."""
    strangers = set(trace.optimizers[index].strangers)
    for each in trace.sightings:
        if isinstance(each, Replaced) and each.optimizer == index and strangers & {*each.tensors}:
            return each
    return None


def _for_another(known: Replaced | None, optimizer: OptimizerInfo) -> bool:
    """Whether it never had a parameter of what is trained."""
    return known is None and not optimizer.touched and {*optimizer.owns} <= {*optimizer.strangers}


def _how(known: Replaced | None, optimizer: OptimizerInfo) -> str:
    if _for_another(known, optimizer):
        return message("training.gl104.another")
    if known is not None and known.by.startswith("load_state_dict"):
        return message("training.gl104.replaced_by", by=known.by)
    if _in_forward(known):
        return message("training.gl104.replaced_by", by="forward()")
    return message("training.gl104.replaced")


def _in_forward(known: Replaced | None) -> bool:
    """Whether the module itself makes new ones as it runs."""
    at = known.at if known is not None else None
    return at is not None and at.function.rsplit(".", 1)[-1] == "forward"


def _cause(trace: Trace, index: int, known: Replaced | None) -> Place | None:
    if known is not None and known.at is not None:
        return Place(known.at, known.by)
    optimizer = trace.optimizers[index]
    return (
        Place(optimizer.at, message("words.built", name=optimizer.name)) if optimizer.at else None
    )


def _built(trace: Trace, index: int, known: Replaced | None) -> Iterator[str]:
    optimizer = trace.optimizers[index]
    if known is not None and optimizer.at is not None:
        yield message("training.gl104.built", name=optimizer.name, line=optimizer.at.line)
    for each in trace.sightings:
        if known is not None and isinstance(each, TieBroken) and each.at == known.at:
            yield message("training.gl104.untied", names=listing(each.names))


def _untrained(trace: Trace) -> Iterator[str]:
    """The parameters that replaced them and have no optimizer, which GL103 therefore leaves out."""
    new = [each.tensor for each in trace.forgotten]
    if new:
        names = several_parameters(trace, new)
        yield message("training.gl104.untrained", names=names, count=len(new))


RULE = Rule("GL104", "optimizer-holds-strangers", "warning", check)
