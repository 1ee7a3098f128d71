"""A step applied gradients again that an earlier step had already applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.attacks import asked_between
from graphlab.rules.repair.copies import clone_example
from graphlab.rules.repair.held.clearing import cleared_before
from graphlab.rules.repair.held.stepping import cleared_by_hand, written_there
from graphlab.rules.repair.left_over import clear_gradients
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_per_optimizer, never_stepped, unversioned
from graphlab.rules.uncalled import never_ran, not_called
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Location, Step, Trace, ZeroGrad
from graphlab.trace.sightings import GradientKept


def _may_clear(trace: Trace, name: str, owner: str) -> bool:
    """Whether the `zero_grad` of `owner` may be meant for the optimizer `name`: a module's may."""
    return owner == name or all(each.name != owner for each in trace.optimizers)


def check(trace: Trace) -> Iterator[Finding]:
    # GL111 tells of a step that stands where another optimizer's was meant.
    meant = {each.instead.at for each in never_stepped(trace) if each.instead is not None}
    for step in first_per_optimizer(trace, lambda step: bool(step.leftover)):
        if step.at in meant:
            continue
        optimizer = trace.optimizers[step.optimizer]
        late = _late_zero(trace, step)
        cause = Place(late.at, late.target) if late is not None else None
        edit = clear_gradients(trace, step)
        mine = partial(_may_clear, trace, optimizer.name)
        named = not_called(trace, "zero_grad", mine)
        if late is None and named is not None:
            cause, edit = named
        elif late is None or late.at == step.at:
            # A library's own, at most, in the call of it that steps as well.
            cause = never_ran(trace, "zero_grad", _all_at(trace), mine) or cause
        key, advice = "summary", "once_per_step"
        if step.again is not None:
            key, advice = "in_closure", "as_it_begins"
            cause = Place(step.again, message("training.gl102.again"))
        others = [*cleared_before(trace, _first(trace, step), optimizer.name)]
        asked = asked_between(trace, step)
        apart = next(cleared_before(trace, asked.at, optimizer.name), None) if asked else None
        if asked is not None and apart is not None:
            # Who clears before that would apply the gradients of the attack as well.
            either = message("fix.meant.attack", name=asked.name, call=asked.call)
            others = [replace(e, choice=either) for e in (edit, *others) if e is not None]
            edit = apart
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl102.{key}",
                name=optimizer.name,
                names=several_parameters(trace, step.leftover),
            ),
            iteration=step.iteration,
            tensor=unversioned(trace, step.leftover[0]),
            failed=Place(step.at, f"{optimizer.name}.step()"),
            cause=cause,
            help=(edit or Help(message(f"training.gl102.{advice}", name=optimizer.name)),),
            others=tuple(others),
        )

    by_line: dict[Location | None, list[GradientKept]] = {}
    for each in trace.sightings:
        if isinstance(each, GradientKept):
            by_line.setdefault(each.at, []).append(each)
    for several in by_line.values():
        yield _by_hand(trace, several)


def _all_at(trace: Trace) -> set[Location | None]:
    """The lines that called a zero_grad()."""
    return {each.at for each in trace.events if isinstance(each, ZeroGrad)}


def _by_hand(trace: Trace, several: list[GradientKept]) -> Finding:
    """The program steps a tensor itself, as an attack does, and never clears its gradient."""
    kept = several[0]
    there = written_there(trace, kept.at) or kept.name
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl102.read_on" if kept.still else "training.gl102.by_hand",
            names=listing([each.name for each in several]),
            count=len(several),
            call=kept.call,
            name=kept.name,
        ),
        tensor=unversioned(trace, kept.tensor),
        failed=Place(kept.call_at, kept.call),
        cause=Place(kept.at, message("training.gl102.stays")) if kept.at is not None else None,
        help=(Help(message("training.gl102.clear_it", name=there)),),
        others=(
            *cleared_by_hand(trace, kept.at, kept.name),
            *(clone_example(trace, kept.at, kept.name) if kept.still else ()),
        ),
    )


def _first(trace: Trace, step: Step) -> Location | None:
    """Where the first backward was called whose gradients a step applied as the first one."""
    found: Location | None = None
    for each in trace.events:
        if each is step:
            break
        if isinstance(each, Step) and each.optimizer == step.optimizer:
            found = None
        elif isinstance(each, Backward) and each.loss in step.sources and not each.handed_over:
            found = found or each.at
    return found


def _late_zero(trace: Trace, step: Step) -> ZeroGrad | None:
    """The zero_grad() nearest to this step, which cleared too few parameters or ran too late."""
    found = None
    for event in trace.events:
        if isinstance(event, ZeroGrad):
            found = event
        if event is step and found is not None:
            return found
    return found


RULE = Rule("GL102", "leftover-gradients", "warning", check)
