"""Follows gradients from the backward that wrote them to the step or zero_grad that ends them.

Which backward wrote which gradient is noted every time; the values are compared on sampled steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from threading import get_ident
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.graph.wasted import parts_by_optimizer
from graphlab.observe.names import Names, parameters_in, parameters_of
from graphlab.observe.notes import Log, RawBackward, RawWrite, Spot
from graphlab.observe.optimizers.cut_off import look_for_cuts
from graphlab.observe.optimizers.gradients.groups import Group
from graphlab.observe.optimizers.gradients.lines import Line
from graphlab.observe.optimizers.gradients.parameters import (
    NONE,
    Facts,
    Fingerprint,
    GradResults,
    ParameterState,
    fingerprint_of,
)
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.optimizers.shares import OUTSIDE, Contributions, Label, OwnedParameter
from graphlab.observe.refusals.outright import nodes_behind
from graphlab.observe.tensors import grads_of, storage_key
from graphlab.source.files import UserFiles
from graphlab.source.places import locate
from graphlab.trace.model import Mix


class Provenance:
    """`stepping` returns whether an optimizer's own code may be running in this thread."""

    def __init__(
        self,
        log: Log,
        files: UserFiles,
        registry: OptimizerRegistry,
        stepping: Callable[[], bool],
    ) -> None:
        self._log, self._files, self._registry = log, files, registry
        # Of each thread: the optimizers whose gradients its backward may write.
        self._before: dict[int, list[tuple[OptimizerState, list[Any]]]] = {}
        # The optimizers that the graphs of a line lead to, in each thread.
        self._holders: dict[tuple[Spot | None, int], set[int]] = {}
        self._searched = False
        self.any_backward = False
        self.grad_results = GradResults()
        self._stepping = stepping
        # Of the lines with a backward: those whose graph was inspected; those whose gradients were
        # thrown away; and of these the first record with an inspected graph.
        self._inspected_lines: set[Spot | None] = set()
        self._wasting_lines: set[Spot | None] = set()
        self.wasteful: dict[Spot | None, RawBackward] = {}
        # By the `line` of a backward.
        self._lines: dict[Any, Line] = {}
        # The first gradient of each parameter that was cleared unused, and the call that did it.
        self.lost: dict[int, tuple[RawBackward, Spot | None]] = {}

    @property
    def by_line(self) -> dict[Spot | None, list[RawBackward]]:
        """The first backwards of each line that reached an optimizer's parameter."""
        lines = (line.records for line in self._lines.values() if line.records)
        return {records[0].spot: records for records in lines}

    def search(self, frame: FrameType) -> None:
        """Before the first backward: find the optimizers that were made before the session."""
        if not self._searched:
            self._searched = True
            names = Names(self._files).gather(frame)
            for optimizer in names.held_optimizers():
                self._registry.learn(self._registry.state(optimizer), optimizer, names)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """At an inspected backward: group its nodes by optimizer, at the first one of each line,
        and again once gradients have been thrown away."""
        look_for_cuts(record, frame, self._registry, self._log, self._files)
        spot = record.spot
        if spot not in self._inspected_lines or (
            spot in self._wasting_lines and spot not in self.wasteful
        ):
            self._inspected_lines.add(spot)
            self.search(frame)
            optimizers = self._registry.places()
            record.parts = parts_by_optimizer(
                nodes, lambda leaf: optimizers.get(id(leaf), ()), self._log
            )

    def before_backward(self, record: RawBackward, frame: FrameType) -> None:
        self.any_backward = True
        if not self._searched:
            self.search(frame)
        followed = self._registry.followed()
        if self._log.several:
            # Another thread's backward may be running: only what this one reaches is looked at.
            holders = self._reachable(record, frame)
            followed = [each for each in followed if each[0].at in holders]
        before = self._before[get_ident()] = []
        for state, optimizer in followed:
            parameters = parameters_of(optimizer)
            before.append((state, parameters))
            self.settle(state, parameters, grads_of(parameters), True)
            if record.is_grad:
                continue
            if state.due:
                self._open(state, record, parameters)
            else:
                state.contributions = None

    def _reachable(self, record: RawBackward, frame: FrameType) -> set[int]:
        key = record.spot, get_ident()
        if key not in self._holders or record.covered is not None:
            optimizers = self._registry.places()
            leaves = map(leaf_of, nodes_behind(frame.f_locals, record.is_grad))
            found = {at for leaf in leaves for at in optimizers.get(id(leaf), ())}
            self._holders[key] = self._holders.get(key, set()) | found
        return self._holders[key]

    def settle(
        self, state: OptimizerState, parameters: list[Any], grads: list[Any], throws: bool
    ) -> Fingerprint:
        """Notice what the program itself did to an optimizer's gradients since the last call. With
        `throws`, a gradient that is gone counts as thrown away."""
        gradients = state.gradients
        if [*map(id, parameters)] != state.identities:
            gradients = self._registry.gradients_of(state, parameters)
        fingerprint = fingerprint_of(grads)
        if fingerprint == state.fingerprint and not state.ambiguous:
            return fingerprint
        state.fingerprint = fingerprint
        groups = state.groups
        if groups is not None:
            throw = self._throw_group if throws else None
            if groups.settle(fingerprint, bool(self.grad_results), throw):
                state.ambiguous = groups.ambiguous
                return fingerprint
            state.apart()
        for gradient, grad in zip(gradients, grads, strict=True):
            if grad is not None:
                gradient.settle(grad, self._overwritten, self.grad_results.of)
                continue
            facts = gradient.facts
            if facts.sources or facts.by_hand or facts.spent:
                if throws and (facts.sources or facts.by_hand):
                    self._throw(facts, (gradient.index,), None)
                facts.clear()
        state.ambiguous = any(gradient.facts.ambiguous for gradient in gradients)
        return fingerprint

    def _open(self, state: OptimizerState, record: RawBackward, parameters: list[Any]) -> None:
        held, fresh = self._held(state, parameters)
        if state.contributions is None:
            if not fresh:
                # Parts of the gradient are from before the comparison began.
                return
            state.contributions = Contributions()
        state.contributions.begin(label_of(record), held)

    def after_backward(self, record: RawBackward) -> None:
        # The identities and the places of the parameters that it reached.
        reached: list[tuple[Iterable[int], Sequence[int]]] = []
        apart: dict[int, int] = {}
        before = self._before.pop(get_ident(), [])
        holders = self._holders.get((record.spot, get_ident())) if self._holders else None
        if holders is not None:
            # Another thread may have begun since.
            before = [each for each in before if each[0].at in holders]
        for state, parameters in before:
            fingerprint = fingerprint_of(grads_of(parameters))
            if fingerprint == state.fingerprint or [*map(id, parameters)] != state.identities:
                continue
            groups = state.groups
            if groups is None:
                found = self._reached(state, record, parameters, fingerprint, apart)
                apart.update(found)
                reached.append((found.keys(), [*found.values()]))
            else:
                marks = groups.reached(record, fingerprint, state.fingerprint)
                if marks is None:
                    reached.append((state.identities, groups.places))
                elif True in marks:
                    identities = [*compress(state.identities, marks)]
                    reached.append((identities, [*compress(groups.places, marks)]))
            state.fingerprint = fingerprint
            state.ambiguous = state.ambiguous or record.is_grad
        line = self._lines.get(record.line)
        if line is None:
            line = self._lines[record.line] = Line()
        line.reaches(record, [places for _, places in reached])
        for state in self._registry.alive:
            if state.never_reached or state.strangers:
                these = {*record.reached}
                state.never_reached = tuple(i for i in state.never_reached if i not in these)
                state.strangers = tuple(i for i in state.strangers if i not in these)
        for state, parameters in before:
            if state.contributions is not None and not record.is_grad:
                held, _ = self._held(state, parameters)
                state.contributions.end(held, {each for ids, _ in reached for each in ids})

    def _reached(
        self,
        state: OptimizerState,
        record: RawBackward,
        parameters: list[Any],
        fingerprint: Fingerprint,
        known: dict[int, int],
    ) -> dict[int, int]:
        """The places, by identity, of the optimizer's parameters that a backward has reached, less
        those that are `known` to be."""
        found: dict[int, int] = {}
        rows = zip(state.identities, *fingerprint, *state.fingerprint, strict=True)
        both = zip(state.gradients, parameters, strict=True)
        for (identity, now, version, then, before), (gradient, parameter) in zip(
            rows, both, strict=True
        ):
            same = now == then and version == before
            if now == NONE or same or identity in known or identity in found:
                continue
            gradient.written(record, now, version)
            if gradient.index is None:
                gradient.index = self._registry.place_of(parameter, None)
            found[identity] = gradient.index
        return found

    def cleared(self, state: OptimizerState, spot: Spot | None) -> None:
        """zero_grad of an optimizer or its wrapper, called at `spot`, is about to clear them."""
        gradients = self._registry.gradients_of(state, parameters_of(state.ref()))
        if not self._clear_groups(state, None, spot):
            self._clear_each(gradients, spot)

    def cleared_in(self, module: Any, spot: Spot | None) -> None:
        """As `cleared`, by zero_grad of a module."""
        parameters = {id(p): p for p in parameters_in(module)}
        for state, optimizer in self._registry.followed():
            if state.groups is None:
                continue
            self._registry.gradients_of(state, parameters_of(optimizer))
            if self._clear_groups(state, parameters, spot):
                for identity in state.identities:
                    parameters.pop(identity, None)
        known = (self._registry.known(p) for p in parameters.values())
        self._clear_each([each for each in known if each is not None], spot)

    def _clear_each(self, gradients: list[ParameterState], spot: Spot | None) -> None:
        for gradient in gradients:
            if gradient.facts.sources:
                self._clear(gradient.facts, (gradient.index,), spot)

    def _clear_groups(
        self, state: OptimizerState, within: Mapping[int, Any] | None, spot: Spot | None
    ) -> bool:
        """Clear the gradients of those parameters whose identities are `within` (None: all). False
        where they have to be cleared one by one."""
        groups = state.groups
        if groups is None:
            return False
        cleared = []
        for group in groups.all:
            if not group.facts.sources:
                continue
            if within is not None:
                inside = sum(map(within.__contains__, group.of(state.identities)))
                if not inside:
                    continue
                if inside < len(group.at):
                    state.apart()
                    return False
            if group.unreached:
                state.apart()
                return False
            cleared.append(group)
        for group in cleared:
            self._clear(group.facts, groups.places_of(group), spot, group)
        return True

    def _clear(
        self,
        facts: Facts,
        places: Sequence[int | None],
        spot: Spot | None,
        group: Group | None = None,
    ) -> None:
        for source in facts.sources:
            if source.cleared_at is None:
                source.cleared_at = spot
        if not facts.spent or max(facts.spent.values()) < len(facts.sources):
            self._throw(facts, places, spot, group)
        facts.clear()
        facts.zeroed = True

    def _throw_group(self, group: Group, places: Sequence[int]) -> None:
        self._throw(group.facts, places, None, group)

    def _throw(
        self,
        facts: Facts,
        places: Sequence[int | None],
        spot: Spot | None,
        group: Group | None = None,
    ) -> None:
        """The gradients of the parameters at `places` are cleared: what was added since a step last
        applied them was never used."""
        if self._stepping():
            # The step itself clears them, or its closure may do so after it has used them.
            return
        applied = max(facts.spent.values(), default=0)
        for source in facts.sources[applied:]:
            if not source.lost and self._used_by_hand(source):
                source.applied = True
            source.lost = True
            if source.remembered:
                to = dict.fromkeys((place for place in places if place is not None), spot)
                source.lost_to = (source.lost_to or {}) | to
            if not applied:
                source.thrown_away += len(places)
                if group is None or not group.told:
                    for place in places:
                        if place is not None:
                            self.lost.setdefault(place, (source, spot))
            if source.parts is None or None in places:
                self._wasting_lines.add(source.spot)
            else:
                source.thrown += tuple(place for place in places if place is not None)
                source.thrown_at = spot
                self.wasteful.setdefault(source.spot, source)
        if group is not None and not applied and facts.sources:
            group.told = True

    def _used_by_hand(self, source: RawBackward) -> bool:
        """Whether the program has written to some optimizer's parameters itself since a backward:
        it has used the gradients in its own way. Asked only as long as the answer matters."""
        if not source.remembered:
            return False
        written: set[int] = set()
        for event in reversed(self._log.events):
            if event is source:
                break
            if isinstance(event, RawWrite) and event.optimizer is None:
                written.update(each[0] for each in event.tensors)
        return bool(written) and any(
            storage_key(each) in written
            for _, optimizer in self._registry.followed()
            for each in parameters_of(optimizer)
        )

    def mixed(self, state: OptimizerState, parameters: list[Any]) -> Mix | None:
        """Before a sampled step: what the gradients that it applies are made of."""
        held, fresh = self._held(state, parameters)
        if state.contributions is None and fresh:
            # No backward was compared: the gradient is the program's own.
            state.contributions = Contributions()
        found = state.contributions.mix(held) if state.contributions is not None else None
        if found is None:
            return None
        mix, state.by_parameter = found
        return mix

    def _held(
        self, state: OptimizerState, parameters: list[Any]
    ) -> tuple[list[OwnedParameter], bool]:
        """The parameters for shares.py, and whether no backward has written any of their gradients
        since they were cleared."""
        found, fresh = [], True
        gradients = self._registry.gradients_of(state, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            place = self._registry.place_of(parameter, None)
            base = None
            if not gradient.sources:
                base = OUTSIDE
                if state.contributions is not None:
                    state.contributions.forget(parameter)
            elif gradient.sources[-1].is_grad:
                base = label_of(gradient.sources[-1])
            fresh = fresh and base is not None
            found.append(OwnedParameter(parameter, place, base))
        return found, fresh

    def _overwritten(self, grad: Any) -> bool:
        """Whether the program's last write to a gradient replaced its values instead of scaling
        them."""
        key = storage_key(grad)
        for event in reversed(self._log.events):
            if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
                return event.by in ("copy_()", "[…] = …", ".data = …", "fill_()", "set_()")
        return False


def label_of(record: RawBackward) -> Label:
    """(loss, line) of a backward."""
    return record.loss, locate(*record.spot).line if record.spot is not None else None
