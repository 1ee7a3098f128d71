"""Follows the gradients of an optimizer's parameters in groups instead of one by one.

Parameters whose gradients have the same history share one `Facts`: in most programs all of an
optimizer's parameters do. What a backward, a zero_grad or a step means for them is then told once a
group, and the parameters themselves are looked at only by what runs at the speed of C: their
gradients' identities and versions, as lists. Where a backward reaches some of a group only, the
group is split. Nothing is guessed and nothing is sampled.

Only what is plain is done here. At anything else (the program wrote a gradient itself, or cleared
some of a group) a method returns False or None, having done nothing that the slower way would not
do again to the same effect; `Groups.dissolve` then gives each parameter facts of its own, and they
are followed one by one (provenance.py) until the program has calmed down.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import compress
from operator import ne, or_
from typing import TypeVar

from graphlab.observe.notes import RawBackward, RawStep
from graphlab.observe.optimizers.gradients.parameters import (
    LOOKS,
    NONE,
    Facts,
    Fingerprint,
    ParameterState,
)

T = TypeVar("T")


class Group:
    """Parameters that share `facts`, by their positions in the optimizer, ascending."""

    __slots__ = ("at", "facts", "told", "unreached", "whole")

    def __init__(self, facts: Facts, at: list[int], whole: bool, unreached: bool) -> None:
        self.facts, self.at, self.whole = facts, at, whole
        # Whether no backward has reached them yet, so that their `index` is not set.
        self.unreached = unreached
        # Whether it has been noted that their gradients were once cleared unused.
        self.told = False

    def of(self, values: list[T]) -> list[T]:
        """Those of `values`, one for each of the optimizer's parameters, that are this group's."""
        return values if self.whole else [*map(values.__getitem__, self.at)]


class Groups:
    """The groups of one optimizer's `gradients`, in the order of their first parameters. `places`
    are the parameters' in the trace."""

    def __init__(self, gradients: list[ParameterState], places: list[int]) -> None:
        self.gradients, self.places = gradients, tuple(places)
        # The gradients' identities and versions as they were last noted, which
        # `ParameterState.grad_id` and `version` have only once dissolved.
        self.noted: Fingerprint = (
            [each.grad_id for each in gradients],
            [each.version for each in gradients],
        )
        alike: dict[Hashable, list[int]] = {}
        for at, each in enumerate(gradients):
            alike.setdefault((each.index is None, each.facts.key()), []).append(at)
        self.all: list[Group] = []
        for at in alike.values():
            first = gradients[at[0]]
            self._add(Group(first.facts, at, len(at) == len(gradients), first.index is None))

    def _add(self, group: Group) -> None:
        self.all.append(group)
        for at in group.at:
            self.gradients[at].facts = group.facts

    def dissolve(self) -> None:
        """Give each parameter facts of its own again."""
        for each, grad_id, version in zip(self.gradients, *self.noted, strict=True):
            each.grad_id, each.version = grad_id, version
        for group in self.all:
            for at in group.at[1:]:
                self.gradients[at].facts = group.facts.copy()

    def places_of(self, group: Group) -> Sequence[int]:
        """The places of a group's parameters in the trace."""
        return self.places if group.whole else [*map(self.places.__getitem__, group.at)]

    def settle(
        self, now: Fingerprint, handed: bool, throw: Callable[[Group, Sequence[int]], None] | None
    ) -> bool:
        """As `ParameterState.settle`, of gradients that are `now` these. `handed`: whether
        autograd.grad has returned any. `throw` is called with a group and its places before
        its gradients, which are gone, count as cleared."""
        for group in self.all:
            facts, ids = group.facts, group.of(now[0])
            gone = ids.count(NONE)
            if facts.by_hand or gone not in (0, len(ids)):
                return False
            if gone:
                if facts.sources or facts.spent:
                    if group.unreached:
                        return False
                    if throw is not None and facts.sources:
                        throw(group, self.places_of(group))
                    facts.clear()
                continue
            if ids != group.of(self.noted[0]):
                return False
            versions, noted = group.of(now[1]), group.of(self.noted[1])
            if not facts.sources:
                # A zero_grad(set_to_none=False) has left them.
                if not facts.zeroed or handed or versions != [each + 1 for each in noted]:
                    return False
            elif facts.sources[-1].is_grad:
                return False
            elif versions == noted:
                if facts.spent and facts.kept < LOOKS:
                    return False
            elif facts.spent:
                return False
            else:
                # Clipped or scaled: the same gradients.
                self.noted = self.noted[0], self._with(self.noted[1], now[1], group)
        return True

    @staticmethod
    def _with(old: list[int], new: list[int], group: Group) -> list[int]:
        if group.whole:
            return new
        made = [*old]
        for at in group.at:
            made[at] = new[at]
        return made

    def reached(
        self, record: RawBackward, now: Fingerprint, before: Fingerprint
    ) -> list[bool] | None:
        """A backward has run; the gradients were `before` and are `now`. Returns for each parameter
        whether it was written, or None for all."""
        # All at once, as in most programs: every gradient is a new one, or was added to.
        at = 1 if now[0] == before[0] else 0
        marks: list[bool] = []
        if NONE in now[0] or not all(map(ne, now[at], before[at])):
            marks = [*map(or_, map(ne, now[0], before[0]), map(ne, now[1], before[1]))]
            marks = [mark and each != NONE for mark, each in zip(marks, now[0], strict=True)]
        if all(marks):
            self.noted = now
            for group in self.all:
                self._written(group, record)
            return None
        if True not in marks:
            return marks
        for group in [*self.all]:
            mine = group.of(marks)
            if all(mine):
                self._written(group, record)
            elif True in mine:
                self._written(self._split(group, mine), record)
        self.noted = (
            self._merged(self.noted[0], now[0], marks),
            self._merged(self.noted[1], now[1], marks),
        )
        return marks

    @staticmethod
    def _merged(old: list[int], new: list[int], marks: list[bool]) -> list[int]:
        return [two if mark else one for one, two, mark in zip(old, new, marks, strict=True)]

    def _split(self, group: Group, marks: list[bool]) -> Group:
        """Take the marked parameters out of a group, into one of their own."""
        taken = Group(group.facts.copy(), [*compress(group.at, marks)], False, group.unreached)
        taken.told = group.told
        group.at = [at for at, mark in zip(group.at, marks, strict=True) if not mark]
        group.whole = False
        self._add(taken)
        self.all.sort(key=lambda each: each.at[0])
        return taken

    def _written(self, group: Group, record: RawBackward) -> None:
        group.facts.written(record)
        if group.unreached:
            group.unreached = False
            for at in group.at:
                self.gradients[at].index = self.places[at]

    def judge(self, step: RawStep, ids: list[int], inner: bool) -> tuple[bool, bool] | None:
        """Before a step on gradients with these identities: fill in `step.leftover`, and return
        whether any gradient is new to the optimizer, and whether there is any. None where this has
        to be told parameter by parameter."""
        me = step.optimizer
        having: list[Group] = []
        for group in self.all:
            facts, mine = group.facts, ids if group.whole else group.of(ids)
            if NONE in mine:
                if mine.count(NONE) == len(mine):
                    continue
                return None
            if facts.by_hand or (not inner and facts.last_stepper not in (None, me)):
                return None
            having.append(group)
        fresh, leftover = False, []
        for group in having:
            facts = group.facts
            count, spent = len(facts.sources), facts.spent.get(me, 0)
            if count > spent:
                fresh = True
                if not facts.sources[-1].applied:
                    for source in facts.sources[spent:]:
                        source.applied = True
            if 0 < spent < count:
                leftover.append(group)
            facts.spent[me] = count
            if not inner and facts.last_stepper is None:
                facts.last_stepper = me
                facts.steppers.add(me)
        if leftover:
            step.leftover = self._places_of(leftover)
        return fresh, bool(having)

    def _places_of(self, groups: Iterable[Group]) -> tuple[int, ...]:
        found = [*groups]
        if len(found) == 1 and found[0].whole:
            return self.places
        return tuple(self.places[at] for at in sorted(at for each in found for at in each.at))

    @property
    def ambiguous(self) -> bool:
        """Whether some gradient may have changed with the same identity and version."""
        for group in self.all:  # noqa: SIM110 (a generator takes three times as long)
            if group.facts.ambiguous:
                return True
        return False
