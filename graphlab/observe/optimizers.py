"""The optimizer ledger: who owns what, what a step changed by value, whose gradient it applied."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any

from graphlab.observe.gradients import Contributions, Label, ParameterState, mix_of, norm_of
from graphlab.observe.log import Log, RawBackward, RawStep, RawWrite, RawZero, Spot
from graphlab.observe.loops import Loops
from graphlab.observe.names import Names
from graphlab.observe.source import UserFiles, user_frame
from graphlab.observe.steps import ActiveStep, Steps
from graphlab.observe.storage import byte_span, storage_key, version_of
from graphlab.observe.tracer import Tracer, code_of
from graphlab.observe.writers import Writers

# Steps compared by value: the first ones, then every so-manieth (a prime: see backwards.py).
FIRST, EVERY = 4, 61
# Copying more elements than this before a step is not worth the proof.
LARGEST = 50_000_000


class OptimizerState:
    def __init__(self, optimizer: Any, spot: Spot | None) -> None:
        self.ref = weakref.ref(optimizer)
        self.class_name = type(optimizer).__name__
        self.name: str | None = None
        self.spot = spot
        self.steps = 0
        self.sampled: list[int] = []
        self.owns: dict[int, None] = {}
        self.touched: dict[int, None] = {}
        self.others: dict[int, None] = {}
        self.untouched: dict[int, str] = {}
        self.mix: Any = None
        self.contributions: Contributions | None = None
        self.last_spot: Spot | None = None
        self.strangers: tuple[int, ...] = ()
        self.never_reached: tuple[int, ...] = ()
        # Stepped by another thread: to read its gradients from here would race with that thread.
        self.elsewhere = False
        # Its parameters' identities and states, in its own order: made anew when they change.
        self.identities: list[int] = []
        self.gradients: list[ParameterState] = []

    @property
    def due(self) -> bool:
        return self.steps < FIRST or self.steps % EVERY == 0


class Optimizers:
    def __init__(
        self,
        log: Log,
        tracer: Tracer,
        writers: Writers,
        loops: Loops,
        files: UserFiles,
        name_parameter: Callable[[Any, Names | None], int],
    ) -> None:
        import torch

        self._log, self._tracer = log, tracer
        self._loops, self._files = loops, files
        self._index_of = name_parameter
        self.states: list[OptimizerState] = []
        self._by_id: dict[int, OptimizerState] = {}
        self._parameters: dict[int, tuple[weakref.ref[Any], ParameterState]] = {}
        self._before: list[tuple[Any, ParameterState, int, int]] = []
        self._held: dict[int, Spot | None] = {}
        # Whether one parameter is held by two optimizers.
        self._overlap = False
        self._searched = False
        self._any_backward = False
        optimizer, module = torch.optim.Optimizer, torch.nn.Module
        self.steps = steps = Steps(tracer, writers)
        steps.begin, steps.end, steps.elsewhere = self.begin_step, self.end_step, self._elsewhere
        for code, handler in (
            (code_of(optimizer.__init__), self._on_init),
            (code_of(optimizer.zero_grad), self._on_zero),
            (code_of(module.zero_grad), self._on_zero),
        ):
            tracer.handlers[code] = handler

    def name_of(self, index: int) -> str:
        """The variable that holds an optimizer, by its place in `states`."""
        state = self.states[index]
        return state.name or f"{state.class_name.lower()}_{index}"

    def name_by(self, names: Names) -> None:
        """Name the optimizers that never stepped: a program that died early has them still."""
        for state in self.states:
            if state.name is None:
                state.name = names.optimizers.get(id(state.ref()))

    def _elsewhere(self, optimizer: Any) -> None:
        """Another thread's step is counted, no more: its lines are not traced."""
        state = self._state(optimizer)
        if not state.elsewhere:
            state.elsewhere = True
            for parameter in self.parameters_of(optimizer):
                self._held[id(parameter)] = state.spot
        state.steps += 1

    def _on_init(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "return":
            optimizer = frame.f_locals.get("self")
            if hasattr(optimizer, "param_groups"):
                state = self._state(optimizer, self._tracer.spot(frame.f_back))
                # Now, while what it is given still hangs where the user put it.
                self._learn(state, optimizer, Names(self._files).gather(frame.f_back))

    def _state(self, optimizer: Any, spot: Spot | None = None) -> OptimizerState:
        state = self._by_id.get(id(optimizer))
        if state is None or state.ref() is not optimizer:
            state = OptimizerState(optimizer, spot)
            self.states.append(state)
            self._by_id[id(optimizer)] = state
        return state

    @staticmethod
    def parameters_of(optimizer: Any) -> list[Any]:
        return [p for group in optimizer.param_groups for p in group["params"]]

    def _gradient(self, parameter: Any) -> ParameterState:
        known = self._parameters.get(id(parameter))
        if known is None or known[0]() is not parameter:
            known = (weakref.ref(parameter), ParameterState())
            self._parameters[id(parameter)] = known
        return known[1]

    def _gradients_of(self, state: OptimizerState, parameters: list[Any]) -> list[ParameterState]:
        """The state of each of an optimizer's parameters, in their order."""
        identities = [*map(id, parameters)]
        if identities != state.identities:
            state.identities = identities
            state.gradients = [self._gradient(each) for each in parameters]
            everything = [each for one in self.states for each in one.identities]
            self._overlap = len(set(everything)) < len(everything)
        return state.gradients

    def _tracked(self) -> list[tuple[Any, ParameterState]]:
        """Every parameter of every optimizer that is still alive."""
        found: list[tuple[Any, ParameterState]] = []
        for state in self.states:
            optimizer = state.ref()
            if optimizer is not None and not state.elsewhere:
                parameters = self.parameters_of(optimizer)
                found += zip(parameters, self._gradients_of(state, parameters), strict=True)
        return list({id(each[0]): each for each in found}.values()) if self._overlap else found

    def owned(self) -> dict[int, Spot | None]:
        """Identity of every parameter that an optimizer was ever seen to hold."""
        return dict(self._held)

    # backward -----------------------------------------------------------------

    def before_backward(self, record: RawBackward, frame: FrameType) -> None:
        self._any_backward = True
        if not self._searched:
            self._searched = True
            names = Names(self._files).gather(frame)
            for optimizer in names.held_optimizers():
                self._learn(self._state(optimizer), optimizer, names)
        self._before = []
        for parameter, state in self._tracked():
            grad = parameter.grad
            if grad is None and state.sources:
                self._thrown(state)
            state.settle(grad, self._overwritten)
            if grad is None:
                self._before.append((parameter, state, 0, 0))
            else:
                self._before.append((parameter, state, id(grad), version_of(grad)))
        if record.is_grad:
            return
        label = self._label(record)
        for each in self.states:
            optimizer = each.ref()
            if optimizer is None or each.elsewhere or not each.due:
                each.contributions = None
                continue
            parameters = self.parameters_of(optimizer)
            fresh = not any(one.sources for one in self._gradients_of(each, parameters))
            if fresh:
                each.contributions = Contributions()
            if each.contributions is not None:
                each.contributions.begin(label, parameters)

    def after_backward(self, record: RawBackward) -> None:
        reached = []
        changed = set()
        for parameter, state, grad_id, version in self._before:
            grad = parameter.grad
            if grad is None:
                continue
            if id(grad) != grad_id or version_of(grad) != version:
                state.written(record, grad)
                if state.index is None:
                    state.index = self._index_of(parameter, None)
                reached.append(state.index)
                changed.add(id(parameter))
        self._before = []
        record.reached = tuple(reached)
        for each in self.states:
            if each.never_reached or each.strangers:
                each.never_reached = tuple(i for i in each.never_reached if i not in reached)
                each.strangers = tuple(i for i in each.strangers if i not in reached)
        if record.is_grad:
            return
        for each in self.states:
            if each.contributions is None:
                continue
            optimizer = each.ref()
            parameters = self.parameters_of(optimizer) if optimizer is not None else []
            if each.due and each.contributions.last is not None:
                if not any(id(p) in changed for p in parameters):
                    # Nothing of this loss arrived here: it has no part in the step.
                    each.contributions.last = None
                else:
                    each.contributions.norm_after = norm_of(parameters)

    def _label(self, record: RawBackward) -> Label:
        from graphlab.observe.source import locate

        return record.loss, locate(*record.spot).line if record.spot is not None else None

    def _thrown(self, state: ParameterState) -> None:
        if not state.spent:
            for source in state.sources:
                source.thrown_away += 1

    # zero_grad ----------------------------------------------------------------

    def _on_zero(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call":
            return
        target: Any = frame.f_locals.get("self")
        user = user_frame(frame.f_back, self._files)
        spot = (user.f_code, user.f_lasti) if user is not None else None
        is_optimizer = hasattr(target, "param_groups")
        parameters = self.parameters_of(target) if is_optimizer else list(target.parameters())
        if is_optimizer:
            self._state(target)
        self.cleared(parameters)
        self._log.events.append(RawZero(self._tracer.seq(), spot, self._loops.iteration(user)))

    def cleared(self, parameters: list[Any]) -> None:
        for parameter in parameters:
            known = self._parameters.get(id(parameter))
            if known is not None and known[0]() is parameter and known[1].sources:
                self._thrown(known[1])
                known[1].clear()

    # step ---------------------------------------------------------------------

    def begin_step(self, active: ActiveStep, frame: FrameType) -> None:
        optimizer, closure = active.optimizer, active.closure
        state = self._state(optimizer)
        user = user_frame(frame, self._files)
        spot = (user.f_code, user.f_lasti) if user is not None else None
        state.last_spot = spot
        parameters = self.parameters_of(optimizer)
        if (
            not state.owns
            or (state.name is None and state.steps == 0)
            or len(parameters) != len(state.owns)
        ):
            self._learn(state, optimizer, Names(self._files).gather(user))
        step = RawStep(
            self._tracer.seq(), spot, self.states.index(state), self._loops.iteration(user)
        )
        labels = {}
        for gradient in self._gradients_of(state, parameters):
            for source in gradient.sources:
                labels[source.loss] = None
        step.sources = tuple(labels)
        if not closure:
            self._judge(step, state, parameters)
        copies = None
        if state.due and not closure:
            if state.contributions is not None and step.sources:
                step.mix = mix_of(state.contributions, parameters)
            copies = self._copy()
        if state.due or state.steps % EVERY in (7, 15, 31):
            self._look_over(state, parameters)
        active.step, active.copies = step, copies
        active.versions = [version_of(p) for p in parameters]

    def _judge(self, step: RawStep, state: OptimizerState, parameters: list[Any]) -> None:
        """Whether the gradients about to be applied are new, or were applied before."""
        me = step.optimizer
        leftover, shared, fresh, live = [], [], False, False
        for parameter, gradient in zip(
            parameters, self._gradients_of(state, parameters), strict=True
        ):
            grad = parameter.grad
            gradient.settle(grad, self._overwritten)
            if grad is None:
                continue
            live = True
            count, spent = len(gradient.sources), gradient.spent.get(me, 0)
            if gradient.by_hand or count > spent:
                fresh = True
            if 0 < spent < count and not gradient.by_hand:
                leftover.append(self._index_of(parameter, None))
            gradient.spent[me] = count
            if self.steps.depth > 1:
                # Inside the step of an optimizer that wraps this one.
                continue
            if gradient.last_stepper not in (None, me):
                gradient.turns += 1
                # A, B, A: both are at work. A, B alone may be an optimizer and its successor.
                if gradient.turns >= 2:
                    shared.append(self._index_of(parameter, None))
                    step.shared_with = gradient.last_stepper
            gradient.last_stepper = me
        step.leftover, step.shared = tuple(leftover), tuple(shared)
        step.nothing_new = not fresh and self._any_backward and (live or state.steps > 0)

    def _overwritten(self, grad: Any) -> bool:
        """Whether the program's last write to a gradient put new values there, rather than
        scaling what stood there."""
        key = storage_key(grad)
        for event in reversed(self._log.events):
            if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
                return event.by in ("copy_()", "[…] = …", ".data = …", "fill_()", "set_()")
        return False

    def _look_over(self, state: OptimizerState, parameters: list[Any]) -> None:
        """Parameters that no module seen at work holds, and parameters never reached so far."""
        modules = [module for ref in self._log.modules.values() if (module := ref()) is not None]
        alive = {id(p) for module in modules for p in module.parameters()}
        if not alive:
            return
        import torch

        state.strangers = tuple(
            self._index_of(p, None)
            for p in parameters
            if isinstance(p, torch.nn.Parameter)
            and id(p) not in alive
            and not self._gradient(p).sources
            and not self._gradient(p).by_hand
        )
        state.never_reached = tuple(
            self._index_of(p, None)
            for p in parameters
            if id(p) in alive and p.requires_grad and not self._gradient(p).seen and p.grad is None
        )

    def _learn(self, state: OptimizerState, optimizer: Any, names: Names) -> None:
        state.name = names.optimizers.get(id(optimizer)) or state.name
        for parameter in self.parameters_of(optimizer):
            state.owns[self._index_of(parameter, names)] = None
            self._held[id(parameter)] = state.spot

    def _copy(self) -> list[tuple[Any, Any]] | None:
        everything = [p for p, _ in self._tracked()]
        if sum(p.numel() for p in everything) > LARGEST:
            return None
        return [(p, p.detach().clone()) for p in everything]

    def end_step(self, active: ActiveStep) -> None:
        optimizer, step = active.optimizer, active.step
        if step is None:
            return
        state = self._state(optimizer)
        if active.copies is not None:
            self._compare(state, optimizer, active.copies)
        if step.mix is not None:
            state.mix = step.mix
        written, silent = [], False
        parameters = self.parameters_of(optimizer)
        gradients = self._gradients_of(state, parameters)
        for parameter, gradient, before in zip(
            parameters, gradients, active.versions, strict=False
        ):
            after = version_of(parameter)
            if after == before and parameter.grad is None:
                continue
            place = _memory(parameter, gradient)
            if place is not None:
                silent = silent or after == before
                written.append((*place, before, after))
        self._log.events.append(step)
        if written:
            self._log.write(
                RawWrite(step.seq, step.spot, "step", tuple(written), step.optimizer, silent)
            )
        state.steps += 1

    def _compare(self, state: OptimizerState, optimizer: Any, copies: list[Any]) -> None:
        import torch

        mine = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        state.sampled.append(state.steps)
        for parameter, old in copies:
            index = self._index_of(parameter, None)
            changed = not torch.equal(parameter.detach(), old)
            if id(parameter) not in mine:
                if changed:
                    state.others[index] = None
            elif changed:
                state.touched[index] = None
            elif index not in state.touched:
                state.untouched[index] = _why(parameter, mine[id(parameter)])


def _memory(parameter: Any, gradient: ParameterState) -> tuple[int, int, int] | None:
    """(storage, first byte, last byte); asked of torch only where the parameter has moved."""
    try:
        address = parameter.data_ptr()
    except RuntimeError:
        address = 0
    if not address or gradient.place[0] != address:
        key = storage_key(parameter)
        gradient.place = address, None if key is None else (key, *byte_span(parameter))
    return gradient.place[1]


def _why(parameter: Any, group: Any) -> str:
    if not parameter.requires_grad:
        return "frozen: requires_grad is False"
    if parameter.grad is None:
        return "no gradient"
    if float(group.get("lr", 1.0)) == 0.0:
        return "its learning rate is 0"
    if not bool(parameter.grad.any()):
        return "its gradient is zero"
    return "the update is below the precision of its values"
