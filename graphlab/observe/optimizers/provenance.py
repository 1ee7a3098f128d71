"""Follows gradients from the backward that wrote them to the step or zero_grad that ends them.

Which backward wrote which gradient is noted every time; the values are compared on sampled steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, compress
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import listed
from graphlab.observe.graph.wasted import parts_by_optimizer
from graphlab.observe.lineage.cut import cut_before
from graphlab.observe.names import Names, parameters_in, parameters_of
from graphlab.observe.notes import Log, RawBackward, RawWrite, Spot
from graphlab.observe.optimizers.gradients.groups import NONE, Group, Groups
from graphlab.observe.optimizers.gradients.parameters import (
    Facts,
    Fingerprint,
    GradResults,
    fingerprint_of,
)
from graphlab.observe.optimizers.never_called import never_called
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.optimizers.shares import OUTSIDE, Contributions, Label, OwnedParameter
from graphlab.observe.refusals.asked import maker
from graphlab.observe.tensors import grads_of, is_leaf, is_parameter, storage_key
from graphlab.source.files import UserFiles
from graphlab.source.objects import is_a
from graphlab.source.places import locate
from graphlab.trace.model import Mix

# For how many losses the source is read to see why they do not reach a parameter.
READ = 6
# At which of these the modules are asked as well.
ASK = 2
# For how many backwards of a line it is remembered what became of their gradients.
REMEMBERED = 64


class Provenance:
    """`inside_step` returns whether an optimizer step is running in this thread."""

    def __init__(
        self,
        log: Log,
        files: UserFiles,
        registry: OptimizerRegistry,
        inside_step: Callable[[], bool],
    ) -> None:
        self._log, self._files, self._registry = log, files, registry
        self._before: list[tuple[OptimizerState, Any]] = []
        self._searched = False
        self.any_backward = False
        self.grad_results = GradResults()
        self._inside_step = inside_step
        # Of the lines with a backward: those whose graph was inspected; those whose gradients were
        # thrown away; and of these the first record with an inspected graph.
        self._inspected_lines: set[Spot | None] = set()
        self._wasting_lines: set[Spot | None] = set()
        self.wasteful: dict[Spot | None, RawBackward] = {}
        # The first backwards of each line that reached an optimizer's parameter.
        self.by_line: dict[Spot | None, list[RawBackward]] = {}
        # Which parameters the last backward of each line reached.
        self._last_reached: dict[Spot | None, tuple[int, ...]] = {}
        # The first gradient of each parameter that was cleared unused, and the call that did it.
        self.lost: dict[int, tuple[RawBackward, Spot | None]] = {}

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
        self._look_for_cuts(record, frame)
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

    def _look_for_cuts(self, record: RawBackward, frame: FrameType) -> None:
        """Find where this loss was cut off from the parameters without any gradient."""
        for state, optimizer in self._registry.followed():
            if not state.never_reached or state.cut is not None or state.read >= READ:
                continue
            state.read += 1
            missing = {
                id(p)
                for p in parameters_of(optimizer)
                if self._registry.place_of(p, None) in state.never_reached
            }
            state.cut = cut_before(frame.f_back, record.loss, self._files, missing)
            roots = listed(frame.f_locals.get("tensors"))
            if roots and all(is_leaf(each) and not is_parameter(each) for each in roots):
                state.leaf_loss = maker(roots[0], frame.f_back, self._files, None)
                state.leaf_name = record.loss
            if state.cut is None and state.read == ASK:
                names = Names(self._files).gather(frame)
                state.unused = never_called(missing, names, self._log, self._files)

    def before_backward(self, record: RawBackward, frame: FrameType) -> None:
        self.any_backward = True
        self.search(frame)
        self._before = before = self._registry.followed()
        for state, optimizer in before:
            parameters = parameters_of(optimizer)
            self.settle(state, parameters, grads_of(parameters), True)
        if not record.is_grad:
            self._open(label_of(record))

    def settle(
        self, state: OptimizerState, parameters: list[Any], grads: list[Any], throws: bool
    ) -> Fingerprint:
        """Notice what the program itself did to an optimizer's gradients since the last call. With
        `throws`, a gradient that is gone counts as thrown away."""
        gradients = self._registry.gradients_of(state, parameters)
        fingerprint = fingerprint_of(grads)
        if not state.ambiguous and fingerprint == state.fingerprint:
            return fingerprint
        state.fingerprint = fingerprint
        groups = state.groups
        if groups is not None:
            throw = partial(self._throw_group, groups, spot=None) if throws else None
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

    def _open(self, label: Label) -> None:
        for state, optimizer in self._registry.followed():
            if not state.due:
                state.contributions = None
                continue
            held, fresh = self._held(state, parameters_of(optimizer))
            if state.contributions is None:
                if not fresh:
                    # Parts of the gradient are from before the comparison began.
                    continue
                state.contributions = Contributions()
            state.contributions.begin(label, held)

    def after_backward(self, record: RawBackward) -> None:
        # The identities and the places of the parameters that it reached.
        reached: list[tuple[Iterable[int], Sequence[int]]] = []
        apart: dict[int, int] = {}
        for state, optimizer in self._before:
            parameters = parameters_of(optimizer)
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
        self._before = []
        record.reached = self._alike(record, [places for _, places in reached])
        if record.reached and not record.is_grad:
            same_line = self.by_line.setdefault(record.spot, [])
            if len(same_line) < REMEMBERED:
                same_line.append(record)
        for state in self._registry.alive:
            if state.never_reached or state.strangers:
                these = {*record.reached}
                state.never_reached = tuple(i for i in state.never_reached if i not in these)
                state.strangers = tuple(i for i in state.strangers if i not in these)
            if state.contributions is not None and not record.is_grad:
                optimizer = state.ref()
                if optimizer is not None:
                    held, _ = self._held(state, parameters_of(optimizer))
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

    def _alike(self, record: RawBackward, parts: list[Sequence[int]]) -> tuple[int, ...]:
        """Their sum: the same object as for the last backward of the line, where it is equal."""
        whole = tuple(chain.from_iterable(parts)) if len(parts) != 1 else tuple(parts[0])
        last = self._last_reached.get(record.spot)
        if last is not None and last == whole:
            return last
        self._last_reached[record.spot] = whole
        return whole

    def cleared(self, target: Any, spot: Spot | None) -> None:
        """zero_grad of an optimizer or a module, called at `spot`, is about to clear these."""
        if is_a(target, torch.optim.Optimizer):
            state = self._registry.state(target)
            known = self._registry.gradients_of(state, parameters_of(target))
            if self._clear_groups(state, None, spot):
                known = []
        else:
            parameters = {id(p): p for p in parameters_in(target)}
            for state, optimizer in self._registry.followed():
                if state.groups is None:
                    continue
                self._registry.gradients_of(state, parameters_of(optimizer))
                if self._clear_groups(state, parameters, spot):
                    for identity in state.identities:
                        parameters.pop(identity, None)
            known = [each for p in parameters.values() if (each := self._registry.known(p))]
        for gradient in known:
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
        self, facts: Facts, places: Sequence[int | None], spot: Spot | None, group: Any = None
    ) -> None:
        for source in facts.sources:
            if source.cleared_at is None:
                source.cleared_at = spot
        if not facts.spent or max(facts.spent.values()) < len(facts.sources):
            self._throw(facts, places, spot, group)
        facts.clear()
        facts.zeroed = True

    def _throw_group(self, groups: Groups, group: Group, spot: Spot | None) -> None:
        self._throw(group.facts, groups.places_of(group), spot, group)

    def _throw(
        self,
        facts: Facts,
        places: Sequence[int | None],
        spot: Spot | None,
        group: Group | None = None,
    ) -> None:
        """The gradients of the parameters at `places` are cleared: what was added since a step last
        applied them was never used."""
        if self._inside_step():
            # The step uses its closure's gradients before they are cleared.
            return
        applied = max(facts.spent.values(), default=0)
        for source in facts.sources[applied:]:
            if not source.lost and self._used_by_hand(source):
                source.applied = True
            source.lost = True
            if not applied:
                source.thrown_away += len(places)
                if group is None or not group.told:
                    for place in places:
                        if place is not None:
                            self.lost.setdefault(place, (source, spot))
            if source.parts is None or None in places:
                self._wasting_lines.add(source.spot)
            else:
                source.thrown += [place for place in places if place is not None]
                source.thrown_at = spot
                self.wasteful.setdefault(source.spot, source)
        if group is not None and not applied and facts.sources:
            group.told = True

    def _used_by_hand(self, source: RawBackward) -> bool:
        """Whether the program has written to some optimizer's parameters itself since a backward:
        it has used the gradients in its own way. Asked only as long as the answer matters."""
        if source not in self.by_line.get(source.spot, ()):
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
