"""Notes at each optimizer step what it changed, and which losses' gradients it applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import get_ident
from types import FrameType
from typing import Any

import torch

from graphlab.language import message
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.hooks.step_hooks import ActiveStep, StepHooks
from graphlab.observe.hooks.write_patches import WritePatches
from graphlab.observe.iterations import Iterations
from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import Log, RawBackward, RawStep, RawWrite, RawZero, Spot
from graphlab.observe.optimizers.gradients.parameters import LOOKS, Facts
from graphlab.observe.optimizers.gradients.step_writes import moved
from graphlab.observe.optimizers.harm import measure
from graphlab.observe.optimizers.out_of_use import EARLY, look_over
from graphlab.observe.optimizers.provenance import Provenance
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.optimizers.scalers import Scalers
from graphlab.observe.optimizers.vectors import Copies, any_nonzero, copies_of
from graphlab.observe.price.series import AllSeries
from graphlab.observe.tensors import (
    grad_of,
    grads_of,
    is_tensor,
    readable,
    requires_grad,
    version_of,
    versions_of,
)
from graphlab.source.files import UserFiles, user_frame, user_frames
from graphlab.source.objects import attributes, exactly, is_a, item, items
from graphlab.trace.model import Mix


class OptimizerLedger:
    """Listens to constructors, zero_grad and step() of optimizers. `name_parameter` gives a
    parameter its index in the trace, `guard` is called with exceptions of the observer's own."""

    def __init__(
        self,
        log: Log,
        tracer: LineTracer,
        write_patches: WritePatches,
        iterations: Iterations,
        files: UserFiles,
        name_parameter: Callable[[Any, Names | None], int],
        guard: Callable[[Exception], None],
    ) -> None:
        self._log, self._tracer, self._iterations, self._files = log, tracer, iterations, files
        self.registry = registry = OptimizerRegistry(name_parameter)
        iterations.steps, iterations.several = registry.steps, registry.several
        # Called with (parameters, gradients) at the steps that are compared by value.
        self.on_compared_step: list[Callable[[list[Any], list[Any]], None]] = []
        self.on_step, self.on_stepped = registry.on_step, registry.on_stepped
        # Called when an optimizer has been built.
        self.on_built: Callable[[], None] = lambda: None
        self.unseen_step: tuple[int, Copies] | None = None
        self._measured: set[Spot | None] = set()
        self._wide: dict[frozenset[int], bool] = {}
        self._series = AllSeries()
        self.steps = steps = StepHooks(tracer, write_patches, self, guard)
        self.scalers = Scalers(tracer, registry)
        self.provenance = Provenance(log, files, registry, lambda: steps.stepping)
        tracer.handle(torch.optim.Optimizer.__init__, self._on_init)
        tracer.handle(torch.optim.Optimizer.zero_grad, self._on_zero, "call")
        tracer.handle(torch.nn.Module.zero_grad, self._on_zero, "call")

    def stepped_elsewhere(self, optimizer: Any) -> None:
        """Count a step in a thread that is not followed; nothing else is known of it."""
        state = self.registry.state(optimizer)
        if not state.elsewhere:
            state.elsewhere = True
            self.registry.hold(state, optimizer)
        state.stepped()

    def _on_init(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "return":
            return
        optimizer = frame.f_locals.get("self")
        if is_a(attributes(optimizer).get("param_groups"), list):
            state = self.registry.state(optimizer, self._tracer.spot(frame.f_back))
            state.series = self._series.of([*user_frames(frame.f_back, self._files)])
            names = state.series.foretold(optimizer, self._files)
            state.like_the_last(names is not None)
            # Named now: the variables may be gone later.
            names = names or Names(self._files).gather(frame.f_back)
            self.registry.learn(state, optimizer, names, frame.f_back)
            if not state.alike:
                self.on_built()

    def _on_zero(self, frame: FrameType, event: str, arg: Any) -> None:
        target: Any = frame.f_locals.get("self")
        user = user_frame(frame.f_back, self._files)
        spot = self._log.spots.of(user)
        if is_a(target, torch.optim.Optimizer):
            state = self.registry.state(target)
            state.zeroed += 1
            self.provenance.cleared(state, spot)
        else:
            self.provenance.cleared_in(target, spot)
        self._log.events.append(RawZero(self._tracer.seq(), spot, self._iterations.iteration(user)))

    def step_begins(self, active: ActiveStep, frame: FrameType) -> None:
        optimizer = active.optimizer
        self.unseen_step = None
        state = self.registry.state(optimizer)
        user = user_frame(frame, self._files)
        spot = self._log.spots.of(user)
        state.last_spot = spot
        state.thread = get_ident()
        self.registry.threads.add(state.thread)
        parameters = parameters_of(optimizer)
        if (
            not state.owns
            or (state.name is None and state.steps == 0 and not state.alike)
            or len(parameters) != len(state.owns)
        ):
            self.registry.learn(state, optimizer, Names(self._files).gather(user))
        if state.steps == 0 and not state.alike:
            self.registry.shown(state)
        active.state, active.parameters = state, parameters
        active.step = RawStep(self._tracer.seq(), spot, state.at, self._iterations.iteration(user))
        if active.closure is None:
            self._has_gradients(active, parameters, user)
        else:
            self.registry.gradients_of(state, parameters)
            # Until the closure has returned: it may raise.
            active.handed_on, state.handed_on = state.handed_on, True
            active.versions = versions_of(parameters)

    def closure_begins(self, active: ActiveStep) -> None:
        if active.step is not None and active.calls:
            self._note_writes(active, parameters_of(active.optimizer))

    def closure_ended(self, active: ActiveStep, frame: FrameType) -> None:
        step = active.step
        assert step is not None
        parameters = parameters_of(active.optimizer)
        user = user_frame(frame, self._files)
        step.seq, step.iteration = self._tracer.seq(), self._iterations.iteration(user)
        if active.calls == 1:
            active.state.handed_on = active.handed_on
            self._has_gradients(active, parameters, user)
            return
        # By value, such a step is compared on the gradients of its first call.
        again = RawStep(step.seq, step.spot, step.optimizer, step.iteration)
        self._judge(again, active, parameters)
        if again.leftover and not step.leftover:
            lasts = (each.sources[-1].spot for each in active.state.facts() if each.sources)
            step.leftover, step.again = again.leftover, next(lasts, None)
        step.nothing_new = step.nothing_new and again.nothing_new
        active.versions = versions_of(parameters)

    def _has_gradients(
        self, active: ActiveStep, parameters: list[Any], user: FrameType | None
    ) -> None:
        """The gradients that a step is about to apply are there."""
        step, state = active.step, active.state
        assert step is not None
        self._judge(step, active, parameters)
        facts = state.facts()
        step.sources = _losses(facts)
        if state.series is not None:
            lines = frozenset(each.spot for each in facts[0].sources) if facts else ()
            state.series.stepped((step.spot, lines))
        if state.due:
            step.mix = self.provenance.mixed(state, parameters)
            active.copies = copies_of([p for p, _ in self.registry.tracked()])
            grads = grads_of(parameters)
            active.grads = [(grad, version_of(grad)) for grad in grads if grad is not None]
            for each in self.on_compared_step:
                each(parameters, grads)
        if step.nothing_new and state.idle < LOOKS:
            active.idle = copies_of(parameters)
        if state.due or (state.steps in EARLY and not state.alike):
            look_over(self.registry, state, parameters, self._log, self._files, user)
        for each in state.on_step:
            if each(state, parameters, step.spot):
                state.drop(each)
        active.versions = versions_of(parameters)

    def _judge(self, step: RawStep, active: ActiveStep, parameters: list[Any]) -> None:
        """Note whether the gradients about to be applied are new or were applied before, and which
        parameters another optimizer steps as well."""
        state: OptimizerState = active.state
        grads = grads_of(parameters)
        ids, _ = self.provenance.settle(state, parameters, grads, False)
        inner = active.inner
        groups = state.groups
        judged = groups.judge(step, ids, inner) if groups is not None else None
        if groups is None or judged is None:
            state.apart()
            fresh, any_gradient = self._judge_each(step, state, parameters, grads, inner)
        else:
            fresh, any_gradient = judged
            state.ambiguous = state.ambiguous or groups.ambiguous
        state.fed += fresh
        # A step without any gradient moves nothing.
        step.nothing_new = not fresh and self.provenance.any_backward and any_gradient

    def _judge_each(
        self,
        step: RawStep,
        state: OptimizerState,
        parameters: list[Any],
        grads: list[Any],
        inner: bool,
    ) -> tuple[bool, bool]:
        """Whether any gradient is new to the optimizer, and whether there is any."""
        me = step.optimizer
        leftover, shared, fresh, any_gradient = [], [], False, False
        for at, (each, grad) in enumerate(zip(state.gradients, grads, strict=True)):
            if grad is None:
                continue
            gradient, any_gradient = each.facts, True
            count, spent = len(gradient.sources), gradient.spent.get(me, 0)
            if count > spent or gradient.by_hand:
                fresh = True
                if count > spent and not gradient.sources[-1].applied:
                    for source in gradient.sources[spent:]:
                        source.applied = True
            if 0 < spent < count and not gradient.by_hand:
                leftover.append(self.registry.place_of(parameters[at], None))
            gradient.spent[me] = count
            if gradient.kept < LOOKS:
                state.ambiguous = True
            # If another optimizer wraps this one, the outer step is the one that counts.
            if inner or gradient.last_stepper == me:
                continue
            other = gradient.last_stepper
            if other is not None and not gradient.by_hand:
                gradient.turns += 1
                # A, B, A means that both are in use; A, B may be an optimizer and its replacement.
                if gradient.turns >= 2 and (gradient.spent.get(other) or self._too_wide(me, other)):
                    shared.append(self.registry.place_of(parameters[at], None))
                    step.shared_with = other
            gradient.last_stepper = me
            gradient.steppers.add(me)
        step.leftover, step.shared = tuple(leftover), tuple(shared)
        return fresh, any_gradient

    def measure_harm(self, record: RawBackward, values: dict[str, Any], nodes: list[Any]) -> None:
        """Measure what the last step did to the backward to come, at the first one of each line."""
        if self.unseen_step is None or record.is_grad or record.spot in self._measured:
            return
        self._measured.add(record.spot)
        writer, copies = self.unseen_step
        apart = {id(p) for p, gradient in self.registry.tracked() if writer in gradient.steppers}
        record.harm = measure(values, nodes, copies, self._log, apart)

    def _too_wide(self, one: int, other: int) -> bool:
        """Whether one of two optimizers that step a parameter by turns, each perhaps with a loss of
        its own, holds a parameter that only the other ever steps."""
        pair = frozenset((one, other))
        if pair not in self._wide:
            states = [self.registry.states[each] for each in pair]
            self._wide[pair] = any(
                gradient.steppers and pair & gradient.steppers != pair
                for gradient in set(states[0].gradients) & set(states[1].gradients)
            )
        return self._wide[pair]

    def step_ended(self, active: ActiveStep) -> None:
        optimizer, step = active.optimizer, active.step
        if step is None:
            return
        state: OptimizerState = active.state
        parameters = active.parameters if active.closure is None else parameters_of(optimizer)
        if active.closure is not None and not active.calls:
            # When its closure returned is not known: too late to compare values.
            self._judge(step, active, parameters)
            step.sources = _losses(state.facts())
            state.handed_on = active.handed_on
        if active.idle is not None:
            state.idle += 1
            state.idle_moves = any(each.changed(version_of(each.tensor)) for each in active.idle)
        step.nothing_new = step.nothing_new and state.idle_moves
        if active.copies is not None and len(self.registry.threads) > 1:
            # What another thread steps meanwhile is not of this step's doing.
            mine = {id(p) for _, each in self.registry.followed() for p in parameters_of(each)}
            active.copies = [each for each in active.copies if id(each.tensor) in mine]
        if active.copies is not None:
            compare(state, optimizer, active.copies, self.registry.place_of)
        if step.mix is not None:
            step.mix, state.measured = self._with_changes(step.mix, state, active), step
        state.contributions = None
        self._log.events.append(step)
        for each in state.on_stepped:
            if each(state, parameters, step.spot):
                state.drop(each)
        silent = self._note_writes(active, parameters)
        # The values from before a step that no version counter shows.
        self.unseen_step = (step.optimizer, active.copies) if silent and active.copies else None
        self.registry.group(state, parameters)
        state.stepped()

    def _note_writes(self, active: ActiveStep, parameters: list[Any]) -> bool:
        """Note what a step has written since its gradients were there; whether some of it moved no
        counter."""
        step, after = active.step, versions_of(parameters)
        assert step is not None
        # What calls its closure again, or may (LBFGS), may have written nothing since.
        if active.closure is not None and (
            active.calls > 1 or is_a(active.optimizer, torch.optim.LBFGS)
        ):
            written, silent = moved(parameters, active.versions, after), False
        else:
            written, silent = active.state.writes.note(parameters, active.versions, after)
        active.versions = after
        if written:
            said = step.seq, step.spot, "step", written, step.optimizer, silent
            self._log.write(RawWrite(*said, thread=active.state.thread))
        return silent

    @staticmethod
    def _with_changes(mix: Mix, state: OptimizerState, active: ActiveStep) -> Mix:
        """`mix` with the first-order change of each loss by the step."""
        untouched = all(version_of(grad) == version for grad, version in active.grads)
        if active.copies is None or state.contributions is None or not untouched:
            return mix
        changes = state.contributions.changes(moves_of(active.optimizer, active.copies))
        return replace(
            mix,
            shares=tuple(
                replace(each, change=changes.get((each.loss, each.line))) for each in mix.shares
            ),
        )


def _losses(facts: list[Facts]) -> tuple[str, ...]:
    """The losses that gradients come from, each once."""
    first = facts[0].sources if facts else []
    if len(facts) == len(first) == 1:
        return (first[0].loss,)
    if all(each.sources == first for each in facts):
        return tuple({source.loss: None for source in first})
    return tuple({source.loss: None for each in facts for source in each.sources})


def compare(
    state: OptimizerState, optimizer: Any, copies: Copies, place_of: Callable[[Any, None], int]
) -> None:
    """Note which parameters a step of `optimizer` has changed, and why it did not change the rest
    of its own."""
    mine = {
        id(p): group
        for _, group in items(attributes(optimizer).get("param_groups"))
        for _, p in items(item(group, "params"))
    }
    state.sampled.append(state.steps)
    for before in copies:
        parameter = before.tensor
        index = place_of(parameter, None)
        changed = before.changed(version_of(parameter))
        if id(parameter) not in mine:
            if changed:
                state.others[index] = None
        elif changed:
            state.touched[index] = None
        elif index not in state.touched:
            state.untouched[index] = _why(parameter, mine[id(parameter)])


def moves_of(optimizer: Any, copies: Copies) -> Iterator[tuple[Any, Any]]:
    """(parameter, change of its values by the step) for each of the optimizer's own that was
    copied."""
    mine = {id(p) for p in parameters_of(optimizer)}
    for before in copies:
        if id(before.tensor) in mine and before.values is not None:
            yield before.tensor, before.tensor.detach() - before.values


def _why(parameter: Any, group: Any) -> str:
    if not requires_grad(parameter):
        return message("observed.untouched.frozen")
    if (grad := grad_of(parameter)) is None:
        return message("observed.untouched.no_gradient")
    if _rate(group) == 0.0:
        return message("observed.untouched.rate")
    if not readable(parameter):
        return message("observed.untouched.unreadable")
    if not any_nonzero(grad):
        return message("observed.untouched.zero")
    return message("observed.untouched.below_precision")


def _rate(group: Any) -> float:
    """The learning rate: a number, or a tensor of one."""
    rate = item(group, "lr")
    if exactly(rate, int, float) or (is_tensor(rate) and readable(rate)):
        return float(rate)
    return 1.0
