"""An optimizer holds parameters that no live module uses any more."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.held.building import bound_again, build_again
from graphlab.rules.rule import Rule
from graphlab.rules.steps import last_step, unversioned
from graphlab.text import listing
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, OptimizerInfo, Trace
from graphlab.trace.module_sightings import Replaced, TieBroken


def check(trace: Trace) -> Iterator[Finding]:
    for index, optimizer in enumerate(trace.optimizers):
        if not optimizer.strangers or optimizer.steps < 2:
            continue
        step = last_step(trace, index)
        count = len(optimizer.strangers)
        known = _replaced(trace, index)
        yield Finding(
            *RULE.label,
            summary=f"{optimizer.name} holds {count} parameter{'s' * (count > 1)} that no module "
            f"in use has: {_how(known)}",
            iteration=step.iteration if step is not None else None,
            tensor=unversioned(trace, optimizer.strangers[0]),
            failed=Place(step.at, f"{optimizer.name}.step()") if step is not None else None,
            cause=_cause(trace, index, known),
            help=(
                Help(
                    "Build the optimizer after the last change of the model, or give it the new "
                    f"parameters with {optimizer.name}.add_param_group(...)."
                ),
            ),
            others=tuple(
                build_again(
                    trace,
                    optimizer.at,
                    known.at if known is not None else _rebound(trace, optimizer),
                )
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


def _how(known: Replaced | None) -> str:
    if known is not None and known.by.startswith("load_state_dict"):
        return f"{known.by} put new ones in their place"
    return "the module was replaced after the optimizer was built"


def _cause(trace: Trace, index: int, known: Replaced | None) -> Place | None:
    if known is not None and known.at is not None:
        return Place(known.at, known.by)
    optimizer = trace.optimizers[index]
    return Place(optimizer.at, f"{optimizer.name} built") if optimizer.at else None


def _built(trace: Trace, index: int, known: Replaced | None) -> Iterator[str]:
    optimizer = trace.optimizers[index]
    if known is not None and optimizer.at is not None:
        yield f"{optimizer.name} was built in line {optimizer.at.line}, with the old parameters"
    for each in trace.sightings:
        if known is not None and isinstance(each, TieBroken) and each.at == known.at:
            yield f"{listing(list(each.names))} were one parameter, and are not since that line"


def _untrained(trace: Trace) -> Iterator[str]:
    """The parameters that replaced them and have no optimizer, which GL103 therefore leaves out."""
    names = [trace.tensors[each.tensor].name or "a parameter" for each in trace.forgotten]
    if names:
        more = len(names) - 1
        which = f"{names[0]} and {more} more get" if more else f"{names[0]} gets"
        yield f"{which} gradients now, and no optimizer steps {'them' if more else 'it'}"


RULE = Rule("GL104", "optimizer-holds-strangers", "warning", check)
