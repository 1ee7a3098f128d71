"""Notices schedules of the learning rate that are stepped never, too seldom, so often that nothing
is left of the rate or that it comes back up, or before the optimizer; and a rate that stays 0."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

import torch

from graphlab.observe.iterations import lengths_of_loops
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, WeakMap
from graphlab.source.effects.idle.unstepped import may_step, only_named
from graphlab.source.effects.origins import loaded_files
from graphlab.source.effects.stores import stores_named
from graphlab.source.files import user_frames
from graphlab.source.objects import attribute, attributes, exactly, is_a, item, items, static
from graphlab.trace.steps.sightings import ScheduleOff

# A rate of this part of the first one moves no parameter in float32; at how many steps it must have
# been so, which is also to be half of them all.
NOTHING, ENOUGH = 1e-8, 8
# How often the program must have stepped it before the optimizer.
TURNS = 2
# For how many optimizers it is noted which files run as their schedules are built.
READ = 32
# What torch's own schedulers step by.
STEPS = tuple(
    {
        id(kind.__dict__["step"]): kind.__dict__["step"]
        for kind in vars(torch.optim.lr_scheduler).values()
        if isinstance(kind, type)
        and issubclass(kind, torch.optim.lr_scheduler.LRScheduler)
        and "step" in kind.__dict__
    }.values()
)


@dataclass(slots=True)
class Schedule:
    """A scheduler's optimizer, by its place; where it was stepped last, where it was `built`, and
    how often it was stepped. planned: for how many steps it was made, 0 if it does not end. gone:
    how many steps the optimizer had taken when its rate was gone, and what it was. zeroed: the
    scheduler multiplies by 0. first: the rate that it began with. early: the optimizer had taken no
    step when the program first stepped it, and some between any two of its steps since. behind: how
    many by the last of these. period: in how many steps a cosine goes down; epochs: whether a loop
    around has as many turns, None until its rate comes back up."""

    optimizer: int
    spot: Spot | None
    built: Spot | None = None
    count: int = 0
    planned: int = 0
    gone: int | None = None
    rate: float = 0.0
    zeroed: bool = False
    first: float = 0.0
    early: bool = False
    calls: int = 0
    behind: int = 0
    period: int = 0
    epochs: bool | None = None
    moved: bool = False
    files: tuple[str, ...] = ()


class Schedules:
    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._files = watched.files
        # By the optimizer: the scheduler that was stepped last.
        self._last: dict[int, Schedule] = {}
        # By the optimizer: how many of its steps had a rate of 0, while none had another.
        self._still: dict[int, int] = {}
        watched.ledger.on_step.append(self._on_step)
        # Where a scheduler was built.
        self._built = WeakMap()
        kind = torch.optim.lr_scheduler.LRScheduler
        watched.tracer.handle(kind.step, self._stepped, "return")
        for each in (kind, torch.optim.lr_scheduler.ReduceLROnPlateau):
            watched.tracer.handle(each.__init__, self._constructed, "call")
        for step in STEPS:
            watched.tracer.handle(step, self._moved, "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def _constructed(self, frame: FrameType, event: str, arg: Any) -> None:
        scheduler, optimizer = frame.f_locals.get("self"), frame.f_locals.get("optimizer")
        if not is_a(scheduler, torch.optim.lr_scheduler.LRScheduler):
            return
        spot = self._tracer.spot(frame.f_back)
        self._built.put(scheduler, spot)
        if is_a(optimizer, torch.optim.Optimizer):
            with Unnoticed():
                state = self._registry.state(optimizer)
                known = self._last.setdefault(state.at, Schedule(state.at, None, spot))
                if len(self._last) <= READ:
                    known.files = tuple(loaded_files(self._files, frame))
                # One of the program's own kinds is not seen as it steps.
                own = static(type(scheduler), "step")
                known.moved = known.moved or all(own is not each for each in STEPS)

    def _moved(self, frame: FrameType, event: str, arg: Any) -> None:
        caller = frame.f_back
        if caller is not None and caller.f_code.co_name == "_initial_step":
            return
        optimizer = attribute(frame.f_locals.get("self"), "optimizer")
        if is_a(optimizer, torch.optim.Optimizer):
            with Unnoticed():
                at = self._registry.state(optimizer).at
                self._last.setdefault(at, Schedule(at, None)).moved = True

    def _stepped(self, frame: FrameType, event: str, arg: Any) -> None:
        scheduler = frame.f_locals.get("self")
        optimizer = attribute(scheduler, "optimizer")
        count = attribute(scheduler, "last_epoch")
        if not is_a(optimizer, torch.optim.Optimizer) or type(count) is not int:
            return
        with Unnoticed():
            state = self._registry.state(optimizer)
            known = self._last.setdefault(state.at, Schedule(state.at, None))
            known.spot, known.count = self._tracer.spot(frame.f_back), count
            known.built = self._built.get(scheduler)
            known.planned, known.period = _planned(scheduler)
            if known.epochs is None and 0 < known.period < count:
                known.epochs = known.period in self._turns(frame.f_back)
            factor = attribute(scheduler, "gamma")
            known.zeroed = exactly(factor, int, float) and factor == 0
            groups = [each for _, each in items(attributes(optimizer).get("param_groups"))]
            now, first = _largest(groups, "lr"), _largest(groups, "initial_lr")
            if frame.f_back is not None and frame.f_back.f_code in self._files:
                self._called(known, state.steps, frame.f_locals.get("epoch") is None)
            elif not known.calls:
                known.first = now or 0.0
            if now is None or first is None or now > NOTHING * first:
                known.gone = None
            elif known.gone is None:
                known.gone, known.rate = state.steps, now

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        with Unnoticed():
            optimizer = state.ref()
            groups = [each for _, each in items(attributes(optimizer).get("param_groups"))]
            if _largest(groups, "lr") != 0:
                self._still.pop(state.at, None)
                return True
            self._still[state.at] = self._still.get(state.at, 0) + 1
        return False

    def _turns(self, frame: FrameType | None) -> list[int | None]:
        """The lengths of the loops around the one in which a scheduler is stepped: a cosine may be
        meant to go down in that one, and up in its next run."""
        frames = user_frames(frame, self._files)
        return [each for one in frames for each in reversed(lengths_of_loops(one))][1:]

    @staticmethod
    def _called(known: Schedule, steps: int, counts: bool) -> None:
        """The program stepped it; it `counts` by itself and was not told the epoch."""
        # A rate of 0 to begin with is one that programs skip on purpose.
        first = not steps and known.first > 0
        known.early = counts and (known.early and steps > known.behind if known.calls else first)
        known.calls, known.behind = known.calls + 1, steps

    def found(self) -> Iterator[ScheduleOff]:
        for at, count in self._still.items():
            state = self._registry.states[at]
            if (
                at not in self._last
                and state.fed
                and state.steps >= ENOUGH
                and count == state.steps
            ):
                yield self._unset(state)
        for at, each in self._last.items():
            steps = self._registry.states[at].steps
            # Each step of the plan was taken by the optimizer, and few by its schedule.
            seldom = each.planned and abs(steps - each.planned) <= 1 and 4 * each.count < steps
            gone = each.gone if each.gone is not None else steps
            if seldom and steps >= ENOUGH:
                stepped, built = located(each.spot), located(each.built)
                ours = stepped is None or built is None or ".step" in stepped.code
                # What a library steps was planned by the program.
                place = stepped if ours else built
                yield ScheduleOff(
                    place, at, steps, planned=each.planned, count=each.count, plan=not ours
                )
            elif each.epochs and each.count > 2 * each.period and 2 * each.count > steps:
                yield ScheduleOff(
                    located(each.spot), at, steps, count=each.count, epochs=each.period
                )
            elif steps - gone >= max(ENOUGH, steps / 2):
                rate = f"{each.rate:.0e}" if each.rate else "0"
                # One that never began was built so.
                spot = each.spot if gone or each.zeroed else each.built or each.spot
                yield ScheduleOff(located(spot), at, steps, 0, each.count, gone, rate, each.zeroed)
            elif each.early and each.calls >= TURNS and steps > each.behind:
                yield ScheduleOff(located(each.spot), at, steps, rate=f"{each.first:g}", early=True)
            elif not each.moved and each.built is not None and steps >= ENOUGH:
                yield from self._never(each, steps)

    def _unset(self, state: OptimizerState) -> ScheduleOff:
        """What sets a rate is a function of the program's that was not called, such as the step()
        of what it wraps its optimizer in: if that has the name of what was, the call is told."""
        stores = [one for file in loaded_files(self._files) for one in stores_named(file, "lr")]
        setters = {each.function for each in stores if isinstance(each.target, ast.Subscript)}
        named = setters.pop() if len(setters) == 1 else ""
        past = named.endswith(".step")
        at = located(state.last_spot if past else state.spot)
        return ScheduleOff(at, state.at, state.steps, rate="0", named=named, unset=True)

    def _never(self, each: Schedule, steps: int) -> Iterator[ScheduleOff]:
        """The program steps the optimizer itself, and nowhere says that a scheduler steps: that
        would be for it to do as well."""
        state = self._registry.states[each.optimizer]
        step, names = located(state.last_spot), {(state.name or "").rpartition(".")[2]}
        if step is None or ".step(" not in step.code or state.elsewhere:
            return
        files = dict.fromkeys([*each.files, *loaded_files(self._files), step.file])
        if not may_step(files, names):
            at, named = only_named(files, names) or (located(each.built), "")
            yield ScheduleOff(at, each.optimizer, steps, never=True, named=named)


def _planned(scheduler: Any) -> tuple[int, int]:
    """For how many steps a schedule is, 0 if it does not end; and in how many a cosine goes down,
    which comes up again after them."""
    schedules = torch.optim.lr_scheduler
    for kind, name in (
        (schedules.OneCycleLR, "total_steps"),
        (schedules.CosineAnnealingLR, "T_max"),
        (schedules.PolynomialLR, "total_iters"),
    ):
        if is_a(scheduler, kind):
            planned = attribute(scheduler, name)
            planned = planned if type(planned) is int else 0
            return planned, planned if name == "T_max" else 0
    return _told(attribute(scheduler, "lr_lambdas")), 0


def _told(factors: Any) -> int:
    """The number of all steps that the one factor of a schedule is told, as by transformers."""
    if not exactly(factors, list) or len(factors) != 1 or not exactly(factors[0], partial):
        return 0
    planned = item(factors[0].keywords, "num_training_steps")
    return planned if type(planned) is int else 0


def _largest(groups: list[Any], name: str) -> float | None:
    """The largest rate of the groups; None where one is no plain number."""
    rates = [item(each, name) for each in groups]
    return max(rates, default=None) if all(exactly(x, int, float) for x in rates) else None
