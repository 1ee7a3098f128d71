"""A parameter got gradients, but no optimizer holds it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.held.building import hold_more, hold_others, registered
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Forgotten, Location, Trace

_BUILD = (
    "Build the optimizer after the whole model, from model.parameters(); hold submodules in "
    "ModuleList or ModuleDict, not in a plain list. What should stay frozen wants "
    "requires_grad_(False)."
)
_REGISTER = (
    "Make it a parameter of the module: nn.Parameter(…) itself, converted inside, in a "
    "ParameterList or ModuleList where there are several. What should stay frozen wants "
    "requires_grad_(False)."
)


def check(trace: Trace) -> Iterator[Finding]:
    if any(each.strangers for each in trace.optimizers):
        return
    several: dict[Location | None, list[Forgotten]] = {}
    for each in trace.forgotten:
        several.setdefault(each.made, []).append(each)
    for made, those in several.items():
        yield _finding(trace, made, those)


def _finding(trace: Trace, made: Location | None, those: list[Forgotten]) -> Finding:
    first = those[0]
    names = [trace.tensors[each.tensor].name or "a parameter" for each in those]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    them = "them" if more else "it"
    why = f": no module has {them} among its parameters()" if made is not None else ""
    built = Place(first.built, "optimizer built") if first.built is not None else None
    notes = (f"without an optimizer: {', '.join(names)}",) if more else ()
    if made is not None and first.built is not None:
        notes += (f"the optimizer of line {first.built.line} was built without {them}",)
    return Finding(
        *RULE.label,
        summary=f"{names[0]}{more} get{'' if more else 's'} gradients, and no optimizer steps "
        f"{them}{why}",
        tensor=unversioned(trace, first.tensor),
        mutated=Place(first.added, first.added.code) if first.added is not None else None,
        failed=Place(first.at, first.call),
        cause=Place(made, "made here, and not registered") if made is not None else built,
        help=(Help(_REGISTER if made is not None else _BUILD),),
        others=tuple(_others(trace, made, those)),
        notes=notes,
    )


def _others(trace: Trace, made: Location | None, those: list[Forgotten]) -> Iterator[Help]:
    missing = [trace.tensors[each.tensor] for each in those]
    if made is not None:
        yield from registered(trace, made, missing)
        return
    yield from hold_others(trace, missing)
    yield from hold_more(trace, those[0].built, missing)


RULE = Rule("GL103", "parameter-without-optimizer", "warning", check)
