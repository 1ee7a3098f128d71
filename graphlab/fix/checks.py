"""What is asked of a trial: that it runs clean, silences nothing and has the right gradients.

Pure functions of the Trace of the program as it was and of the one with the repair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from graphlab.fix.reach import frozen_apart, given_up, only_asked, reached, reached_by_any
from graphlab.language import message
from graphlab.rules.attacks import only_attacks
from graphlab.rules.repair.trained.frozen import meant_to_train
from graphlab.rules.steps import losses_of_each
from graphlab.trace.finding import Finding
from graphlab.trace.model import (
    Backward,
    Location,
    Module,
    OptimizerInfo,
    Refused,
    Share,
    Step,
    Trace,
)
from graphlab.trace.module_sightings import (
    NoFreeze,
    OneNetwork,
    Restored,
    TieBroken,
    TrainedAsNumber,
)
from graphlab.trace.ranks.sightings import RankStep
from graphlab.trace.repairs.model import Check, Verdict

RUNS, SILENCES = message("fix.check.runs"), message("fix.check.silences")
GRADIENTS, MEANT = message("fix.check.gradients"), message("fix.check.meant")
# Rounding: a share of a gradient below this is no loss's.
_ROUNDING = 1e-5
# What asks for a gradient.
_ASKING = re.compile(
    r"\b(backward|grad|vjp|jvp|jacrev|jacfwd|jacobian|hessian|vmap|optim|func|functorch)\b"
)
# Of a longer run, not all calls of modules may be among the events.
_KEPT = 30


def verdict(checks: Sequence[Check]) -> Verdict:
    if any(each.holds is False for each in checks):
        return "rejected"
    return "proved" if all(each.holds for each in checks) else "runs"


def clean(after: Trace, found: Sequence[Finding], exit_code: int, left: str) -> Check:
    """Nothing raises, and no error or warning is left or new."""
    failure = after.exception
    problems = [each for each in found if each.severity != "info"]
    if after.outcome == "raised" and failure is not None:
        where, error = _in_line(failure.at), failure.type
        if not problems:
            return Check(RUNS, False, message("fix.runs.raised", error=error, where=where))
        code = problems[0].code
        return Check(
            RUNS, False, message("fix.runs.raised_for", error=error, where=where, code=code)
        )
    if problems:
        first = problems[0]
        place = first.failed or first.cause
        where = _in_line(place.at if place is not None else None)
        told = {"code": first.code, "name": first.name, "where": where}
        if len(problems) == 1:
            return Check(RUNS, False, message("fix.runs.finding", **told))
        more = len(problems) - 1
        return Check(RUNS, False, message("fix.runs.finding_and_more", **told, count=more))
    if not left and exit_code:
        return Check(RUNS, False, message("fix.runs.exit_code", code=exit_code))
    turns = after.iterations
    if left == "time":
        return Check(RUNS, None, message("fix.runs.time", count=turns))
    end = "left" if left else "to_its_end"
    return Check(RUNS, True, message(f"fix.runs.{end}", count=turns))


def _in_line(at: Location | None) -> str:
    return message("fix.runs.in_line", line=at.line) if at is not None else ""


def nothing_silenced(before: Trace, after: Trace) -> Check:
    """Every parameter that a loss reached and an optimizer owned still gets a gradient from a loss
    of its own and is stepped, and nothing trains that the program had frozen."""
    lost = [*_lost(before, after)]
    if lost:
        return Check(SILENCES, False, lost[0])
    for loss, name in given_up(before, after):
        return Check(SILENCES, False, message("fix.silences.given_up", loss=loss, name=name))
    stepped = [each for each in after.optimizers if each.steps]
    elsewhere = [each.name for each in after.optimizers if each.elsewhere]
    if elsewhere:
        return Check(SILENCES, None, message("fix.silences.elsewhere", name=elsewhere[0]))
    if _asks_for_none(after) and any(_is_leafs(each) for each in before.events):
        return Check(SILENCES, True, message("fix.silences.none_asked"))
    if not after.optimizers and not reached(after):
        return Check(SILENCES, None, message("fix.silences.nothing_seen"))
    thawed = _thawed(before, after)
    if thawed:
        return Check(SILENCES, None, message("fix.silences.thawed", name=thawed))
    untouched = _unreached(before, after)
    if untouched:
        return Check(SILENCES, None, message("fix.silences.unreached", name=untouched))
    count = sum(len(set(each.owns) & reached_by_any(after)) for each in stepped)
    if not stepped:
        return Check(SILENCES, True, message("fix.silences.no_steps"))
    who = [each.name for each in stepped]
    return Check(SILENCES, True, message("fix.silences.reached", count=count, who=who))


def _is_leafs(event: object) -> bool:
    """Whether a write to a leaf was refused: only autograd was in its way."""
    return isinstance(event, Refused) and event.kind == "leaf"


def _unreached(before: Trace, after: Trace) -> str:
    """A parameter of an optimizer that steps, which no loss has reached, though the program as it
    was did not show it to be out of use."""
    reached = reached_by_any(after)
    known = {
        before.tensors[at].name
        for each in before.optimizers
        if before.outcome == "completed"
        for at in set(each.owns) - reached_by_any(before)
    }
    idle = _uncalled(after)
    for each in after.optimizers:
        for at in each.owns if each.steps else ():
            name = after.tensors[at].name
            if at in reached or name in known or not after.tensors[at].requires_grad:
                continue
            if name is None or not idle & {*_holders(name)}:
                return name or message("fix.silences.a_parameter")
    return ""


def _uncalled(trace: Trace) -> set[str]:
    """The modules that the program holds as attributes and only ever calls, but did not call: no
    repair takes a call away, so nothing of it was silenced."""
    called = {each.name for each in trace.events if isinstance(each, Module)}
    held = {holder for each in trace.tensors for holder in _holders(each.name or "")}
    text = "\n".join(trace.sources.values())
    found = set[str]()
    for each in held - called if called and trace.iterations < _KEPT else ():
        last = re.escape(each.rpartition(".")[2])
        # Stored or called, and in no other use: F.linear(x, self.head.weight) calls no module.
        if last.isidentifier() and not re.search(rf"\.{last}\b(?!\s*=[^=])(?!\()", text):
            found.add(each)
    return found


def _holders(name: str) -> Iterator[str]:
    """``model.head`` and ``model.head.out`` of ``model.head.out.weight``."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(2, len(parts)))


def _thawed(before: Trace, after: Trace) -> str:
    """A parameter that trains now, which the program had frozen before any loss reached it."""
    known = reached_by_any(before)
    said = {at for each in meant_to_train(before) for at in each.owns}
    frozen = {
        each.name
        for at, each in enumerate(before.tensors)
        if each.kind == "parameter" and not each.requires_grad and at not in known | said
    }
    reached = [after.tensors[at].name for at in sorted(reached_by_any(after))]
    thawed = (name for name in reached if name and name in frozen)
    return next((name for name in thawed if not frozen_apart(before, after, name)), "")


def _lost(before: Trace, after: Trace) -> Iterator[str]:
    now = {each.name: each for each in after.optimizers}
    names = [each.name for each in after.tensors]
    # What the program means to freeze, by a flag that freezes nothing, or as the copy that makes a
    # target; and what is to be one again.
    meant = {at for each in before.sightings if isinstance(each, NoFreeze) for at in each.tensors}
    one = {name for each in before.sightings if isinstance(each, TieBroken) for name in each.names}
    meant |= {
        at
        for each in before.sightings
        if isinstance(each, TrainedAsNumber) and each.what == "copy"
        for at in each.tensors
    }
    # The tie has names of its own, such as `model.head.weight` for `trainer.model.head.weight`.
    missed = {
        at
        for at, each in enumerate(before.tensors)
        if each.name not in names and any(f".{each.name}".endswith(f".{name}") for name in one)
    }
    before = _without(before, meant | missed | {*_misnamed(before)})
    reached_after = reached(after)
    any_after = {names[at] for places in reached_after.values() for at in places}
    asked = only_asked(after) | only_attacks(before)
    reached_before = reached(before)
    # A program that died early may not have come to the losses of all optimizers.
    own = {
        trace.optimizers[at].name: losses
        for trace in (after, before)
        for at, losses in losses_of_each(trace).items()
    }
    known = {loss for losses in own.values() for loss in losses}
    for loss, places in reached_before.items():
        if loss in reached_after or not places:
            continue
        gone = [
            before.tensors[at].name for at in places if before.tensors[at].name not in any_after
        ]
        if gone and gone[0] is not None:
            yield message("fix.silences.no_longer_reaches", loss=loss, name=gone[0])
    for loss, places in reached_before.items():
        # What the program updates by hand.
        for tensor in (before.tensors[at] for at in places):
            if tensor.owner == tensor.name and tensor.name and tensor.name not in any_after:
                yield message("fix.silences.no_longer_reaches", loss=loss, name=tensor.name)
    for optimizer in before.optimizers:
        owned = {before.tensors[at].name: at for at in optimizer.owns if before.tensors[at].name}
        then = now.get(optimizer.name) or _renamed(optimizer, after)
        if then is None:
            if owned and set(owned) <= {names[at] for each in after.optimizers for at in each.owns}:
                continue
            yield message("fix.silences.gone", name=optimizer.name)
            continue
        trained = {name: at for name, at in owned.items() if _trained(before, optimizer, at)}
        held = {names[at] for at in then.owns}
        if (trained or not optimizer.steps) and not then.steps and not then.elsewhere:
            # A wrapper such as SAM leaves it to the optimizer inside of it.
            inner = any(e.steps and held <= {names[at] for at in e.owns} for e in after.optimizers)
            if not inner and (optimizer.steps or _expected(before, optimizer)):
                yield message("fix.silences.not_stepped", name=then.name)
            continue
        for name in trained:
            if name not in held and not any(
                name in {names[at] for at in each.owns} for each in after.optimizers
            ):
                yield message("fix.silences.not_held", name=name)
        for loss, places in reached_before.items():
            if loss not in reached_after or loss in asked:
                continue
            still = {names[at] for at in reached_after[loss]}
            missing = [name for name, at in owned.items() if at in places and name not in still]
            mine = own.get(optimizer.name)
            if mine is not None and loss not in mine and loss in known:
                # Another optimizer's loss may be kept from it, as long as its own is not.
                missing = [name for name in missing if name not in any_after]
            if missing:
                yield message("fix.silences.no_longer_reaches", loss=loss, name=missing[0])


def _misnamed(before: Trace) -> Iterator[int]:
    """The parameters of a module that had another one's name as well, which it is to lose."""
    both = [e.receiver for e in before.sightings if isinstance(e, Restored) and e.one_object]
    parts = {f".{each.rpartition('.')[2]}." for each in both}
    for at, tensor in enumerate(before.tensors):
        if any(part in f".{tensor.name}" for part in parts):
            yield at


def _renamed(optimizer: OptimizerInfo, after: Trace) -> OptimizerInfo | None:
    """What was ``self.optimizer`` while its object was being made, and no variable held that."""
    holder, _, own = optimizer.name.partition(".")
    alike = [each for each in after.optimizers if each.name.endswith(f".{own}")]
    return alike[0] if holder == "self" and own and len(alike) == 1 else None


def _without(trace: Trace, left: set[int]) -> Trace:
    """The same with no event that reaches these parameters, and no optimizer that holds them."""
    if not left:
        return trace

    def rest(places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(at for at in places if at not in left)

    events = (
        replace(each, reached=rest(each.reached), leads_to=rest(each.leads_to))
        if isinstance(each, Backward)
        else each
        for each in trace.events
    )
    optimizers = (
        replace(each, owns=rest(each.owns), touched=rest(each.touched)) for each in trace.optimizers
    )
    return replace(trace, events=tuple(events), optimizers=tuple(optimizers))


def _expected(before: Trace, optimizer: OptimizerInfo) -> bool:
    """Whether a loss was seen to lead to what it holds: else it may be there for later."""
    return bool(set(optimizer.owns) & reached_by_any(before))


def _trained(trace: Trace, optimizer: OptimizerInfo, at: int) -> bool:
    return at in optimizer.touched or at in reached_by_any(trace)


def as_meant(choices: Sequence[str], after: Trace | None = None) -> tuple[Check, ...]:
    """What a repair decides that the program does not say, or leaves as it was: no run can show
    that it is meant."""
    one = (e for e in after.sightings if isinstance(e, OneNetwork)) if after is not None else ()
    left = [message("fix.meant.one_network", one=each.one, other=each.other) for each in one]
    return tuple(Check(MEANT, None, each) for each in [*choices, *left][:1])


def right_gradients(after: Trace) -> Check:
    """Each optimizer applied the gradient of its own loss, computed at the weights that this loss
    was computed with."""
    wrong = next(_wrong(after), "")
    if wrong:
        return Check(GRADIENTS, False, wrong)
    missing = next(_unknown(after), "")
    if missing and _asks_for_none(after):
        return Check(GRADIENTS, True, message("fix.gradients.none_asked"))
    if missing:
        return Check(GRADIENTS, None, missing)
    steps = [each for each in after.events if isinstance(each, Step) and each.mix is not None]
    looked = [
        each for each in after.events if isinstance(each, Backward) and each.nodes is not None
    ]
    if not steps:
        return Check(GRADIENTS, True, message("fix.gradients.no_optimizer", count=len(looked)))
    told = message("fix.gradients.measured", steps=len(steps), count=len(looked))
    return Check(GRADIENTS, True, told)


def _asks_for_none(trace: Trace) -> bool:
    """Whether the program ran to its end without a backward or an optimizer, and has none in its
    text either: what torch.func differentiates is not observed."""
    quiet = not trace.optimizers and not any(isinstance(e, Backward) for e in trace.events)
    text = "\n".join(trace.sources.values())
    return (
        quiet and not trace.unseen and trace.outcome == "completed" and _ASKING.search(text) is None
    )


def _wrong(trace: Trace) -> Iterator[str]:
    own = losses_of_each(trace)
    for event in trace.events:
        if isinstance(event, Backward) and any(p.state == "bypassed" for p in event.problems):
            yield message("fix.gradients.changed", call=event.call)
        if not isinstance(event, Step):
            continue
        name = trace.optimizers[event.optimizer].name
        if event.leftover:
            yield message("fix.gradients.again", name=name)
        mine = own.get(event.optimizer, set())
        others = {loss for losses in own.values() for loss in losses} - mine
        for share in _shares(event) if mine else ():
            if share.loss in others and share.share > _ROUNDING:
                part = f"{share.share:.2g}"
                yield message("fix.gradients.another", share=part, name=name, loss=share.loss)


def _shares(step: Step) -> tuple[Share, ...]:
    return step.mix.shares if step.mix is not None else ()


def _unknown(trace: Trace) -> Iterator[str]:
    if trace.unseen:
        yield message("fix.gradients.unseen", what=trace.unseen[0])
    steps = [each for each in trace.events if isinstance(each, Step)]
    measured = {each.optimizer for each in steps if each.mix is not None}
    # One that a line makes for each task steps as the others of that line do.
    places = {trace.optimizers[at].at for at in measured} - {None}
    for at, optimizer in enumerate(trace.optimizers):
        if optimizer.steps and at not in measured and optimizer.at not in places:
            yield message("fix.gradients.not_measured", name=optimizer.name)
    # What a rank did not compute itself it has from the others.
    shared: dict[int, bool] = {}
    for seen in trace.sightings:
        if isinstance(seen, RankStep):
            shared[seen.optimizer] = shared.get(seen.optimizer, True) and all(seen.shared)
    for step in steps:
        if shared.get(step.optimizer):
            continue
        if any(each.line is None and each.share > _ROUNDING for each in _shares(step)):
            name = trace.optimizers[step.optimizer].name
            yield message("fix.gradients.from_nowhere", name=name)
    looked: dict[str, bool] = {}
    for event in trace.events:
        if isinstance(event, Backward):
            looked[event.call] = looked.get(event.call, False) or event.nodes is not None
    for call, seen in looked.items():
        if not seen:
            yield message("fix.gradients.not_looked_into", call=call)
    if not looked:
        yield message("fix.gradients.no_backward")
