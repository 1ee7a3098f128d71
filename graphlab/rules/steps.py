"""Helpers of the rules about optimizers: suspicious steps, and the loss of each optimizer."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphlab.source.effects.idle.held_back import step_behind
from graphlab.source.effects.idle.uncalled import uncalled
from graphlab.source.grad_reads import takes_gradients
from graphlab.trace.finding import Versions
from graphlab.trace.model import Backward, Location, OptimizerInfo, Step, Trace
from graphlab.trace.sightings import Fate

_COMMON = {
    "loss", "losses", "optimizer", "optimiser", "optim", "opt", "self", "total", "err", "error",
    "train", "net", "model", "the", "backward", "scaler",
}  # fmt: skip


def unversioned(trace: Trace, index: int) -> Versions:
    """The tensor at `index`, for a finding that is not about its version."""
    return Versions(trace.tensors[index], None, None)


def first_per_optimizer(
    trace: Trace, odd: Callable[[Step], bool], times: int = 2
) -> Iterator[Step]:
    """The first `odd` step of each optimizer with at least `times` of them."""
    found: dict[int, list[Step]] = {}
    for event in trace.events:
        if isinstance(event, Step) and odd(event):
            found.setdefault(event.optimizer, []).append(event)
    for steps in found.values():
        if len(steps) >= times:
            yield steps[0]


def last_step(trace: Trace, optimizer: int) -> Step | None:
    """The last step of the optimizer with this index, or None."""
    for event in reversed(trace.events):
        if isinstance(event, Step) and event.optimizer == optimizer:
            return event
    return None


def name_parts(name: str) -> set[str]:
    """The parts of a name in lower case, common words left out: ``optimizer_D`` gives ``d``."""
    split = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return {part.lower() for part in re.split(r"[^A-Za-z0-9]+", split) if part} - _COMMON


def own_losses(trace: Trace) -> dict[int, str]:
    """The loss that each optimizer minimises, by the optimizer's index. It is known if their names
    match, or if steps applied the gradient of one loss only; a loss with two optimizers is left
    out."""
    alone: dict[int, Counter[str]] = {}
    for event in trace.events:
        if isinstance(event, Step) and len(event.sources) == 1:
            alone.setdefault(event.optimizer, Counter())[event.sources[0]] += 1
    pairs: dict[int, str] = {}
    named = losses_by_name(trace)
    for index in range(len(trace.optimizers)):
        if index in named:
            pairs[index] = named[index]
        elif index in alone and len(alone[index]) == 1:
            pairs[index] = next(iter(alone[index]))
    counts = Counter(pairs.values())
    return {index: loss for index, loss in pairs.items() if counts[loss] == 1}


def losses_of_each(trace: Trace) -> dict[int, set[str]]:
    """The losses that each optimizer minimises, several where its name says so."""
    found = {index: {loss} for index, loss in own_losses(trace).items()}
    named = all_losses_by_name(trace)
    counts = Counter(loss for losses in named.values() for loss in losses)
    for index, losses in named.items():
        if index not in found and all(counts[each] == 1 for each in losses):
            found[index] = {*losses}
    return found


def losses_by_name(trace: Trace) -> dict[int, str]:
    """The one loss whose name shares a part with an optimizer's, or with its networks'."""
    named = all_losses_by_name(trace)
    return {index: found[0] for index, found in named.items() if len(found) == 1}


def all_losses_by_name(trace: Trace) -> dict[int, list[str]]:
    """All losses whose names do, ``errD_real`` and ``errD_fake`` for ``optimizerD``."""
    losses = {event.loss: None for event in trace.events if isinstance(event, Backward)}
    named: dict[int, list[str]] = {}
    for index, optimizer in enumerate(trace.optimizers):
        owners = {trace.tensors[at].owner or "" for at in optimizer.owns} | {
            _part(trace, optimizer)
        }
        mine = name_parts(optimizer.name) | {w for owner in owners for w in name_parts(owner)}
        found = [loss for loss in losses if name_parts(loss) & mine]
        if found:
            named[index] = found
    return named


def _part(trace: Trace, optimizer: OptimizerInfo) -> str:
    """The part of one model that all of an optimizer's parameters are in: ``self.generator``."""
    paths = [(trace.tensors[at].name or "").split(".")[:-1] for at in optimizer.owns]
    shared = itertools.takewhile(lambda each: len({*each}) == 1, zip(*paths, strict=False))
    return ".".join(each[0] for each in shared)


def first_step(trace: Trace, optimizer: int) -> Step | None:
    """The first step of the optimizer with this index that is remembered, or None."""
    steps = (each for each in trace.events if isinstance(each, Step))
    return next((each for each in steps if each.optimizer == optimizer), None)


@dataclass(frozen=True, slots=True)
class NeverStepped:
    """An optimizer without a step, a backward that reaches its parameters, and the step of another
    optimizer that follows this backward with nothing new. sure: the backward is for it alone.
    said: the program's own step() behind that backward, which has come to nothing each time."""

    optimizer: int
    fate: Fate
    instead: Step | None
    sure: bool
    said: Location | None = None


# A program may want to apply gradients later than its first few backwards.
LEAST_BACKWARDS, LEAST_DISCARDED, LEAST_KEPT = 3, 2, 12


def never_stepped(trace: Trace) -> list[NeverStepped]:
    """The optimizers that were meant to step and never do."""
    fates = [each for each in trace.sightings if isinstance(each, Fate)]
    stepped = [each for each in trace.optimizers if each.steps]
    moved = {at for each in stepped for at in each.owns}
    meant = stepped or uncalled(trace.sources, "step") is not None
    found = []
    for index, optimizer in enumerate(trace.optimizers):
        if optimizer.steps or optimizer.elsewhere or optimizer.handed_on or optimizer.by_hand:
            continue
        if moved & set(optimizer.owns):
            continue
        # A run without any step may be there to look at gradients alone: then nobody needs an
        # optimizer to clear them. Where a line steps it, this run, or rank, has not come to that.
        clears = optimizer.zeroed >= LEAST_BACKWARDS and not _names_its_step(trace, optimizer)
        if not (meant or optimizer.scheduled or clears):
            held = _held_back(trace, fates, index)
            found += [held] if held is not None else []
            continue
        mine = [
            each
            for each in fates
            if index in each.holders
            and each.backwards >= LEAST_BACKWARDS
            and not (each.at is not None and takes_gradients(trace.sources.get(each.at.file, "")))
            and (each.discarded >= LEAST_DISCARDED or each.backwards >= LEAST_KEPT)
        ]
        # A loss of its own tells that it is meant to step. Its zero_grad() does not for sure: a
        # network that is only passed through, such as a fixed discriminator, gets gradients too.
        own = [each for each in mine if not any(trace.optimizers[at].steps for at in each.holders)]
        sure, alone = bool(own), False
        if not own and optimizer.zeroed >= LEAST_BACKWARDS:
            shared = [each for each in fates if index in each.holders]
            own = [each for each in shared if each.backwards >= LEAST_BACKWARDS][-1:]
            alone = bool(own) and _for_it_alone(trace, fates, own[0], index)
        if own:
            wrong = _in_its_place(trace, own[0])
            if wrong is None and not sure:
                wrong = _by_another_name(trace, own[0], optimizer)
            found.append(NeverStepped(index, own[0], wrong, sure or alone))
        elif mine and (wrong := _by_another_name(trace, mine[-1], optimizer)) is not None:
            found.append(NeverStepped(index, mine[-1], wrong, True))
    return found


def _held_back(trace: Trace, fates: list[Fate], index: int) -> NeverStepped | None:
    """Where the loop of the only backward says that the optimizer steps every few turns, and had
    enough of them: a wrapper did not let it, as accelerate's does until its own count is full."""
    if len(fates) != 1 or fates[0].holders != (index,) or fates[0].at is None:
        return None
    fate, at = fates[0], fates[0].at
    name = trace.optimizers[index].name
    said = step_behind(at.file, trace.sources.get(at.file, ""), name, at.line)
    if said is None or said[1] == 1 or fate.backwards < max(LEAST_KEPT, 3 * said[1]):
        return None
    return NeverStepped(index, fate, None, True, said[0])


def _by_another_name(trace: Trace, fate: Fate, optimizer: OptimizerInfo) -> Step | None:
    """The step that another optimizer takes each time after the backward of `fate`, as well as one
    at a line of its own, while the program nowhere says that this one steps."""
    if _names_its_step(trace, optimizer):
        return None
    after, mine = False, []
    for event in trace.events:
        if isinstance(event, Backward):
            after = event.at == fate.at
        elif isinstance(event, Step) and after:
            after = False
            mine.append(event)
    if len(mine) < LEAST_BACKWARDS or len({(each.at, each.optimizer) for each in mine}) != 1:
        return None
    other = mine[0]
    elsewhere = any(
        isinstance(each, Step) and each.optimizer == other.optimizer and each.at != other.at
        for each in trace.events
    )
    return other if elsewhere else None


def _for_it_alone(trace: Trace, fates: list[Fate], fate: Fate, index: int) -> bool:
    """Whether the backward of `fate` is there for this optimizer, as the others that it reaches,
    a generator's discriminator say, have another line with a loss of their own."""
    others = [at for at in fate.holders if at != index]
    apart = [each for each in fates if index not in each.holders and each.applied]
    return (
        bool(others)
        and all(any(at in each.holders for each in apart) for at in others)
        and not _names_its_step(trace, trace.optimizers[index])
    )


def _names_its_step(trace: Trace, optimizer: OptimizerInfo) -> bool:
    """Whether the program says somewhere that the optimizer steps."""
    word = f"{optimizer.name.rpartition('.')[2]}.step("
    return any(word in text for text in trace.sources.values())


def _in_its_place(trace: Trace, fate: Fate) -> Step | None:
    """The step with nothing new that comes right after the backward of `fate`."""
    after = False
    for event in trace.events:
        if isinstance(event, Backward):
            after = event.at == fate.at
        elif isinstance(event, Step) and after:
            after = False
            if event.nothing_new:
                return event
    return None
