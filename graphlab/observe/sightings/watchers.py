"""All watchers of one observation: each looks for one kind of sighting."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers.watch import NumberWatch
from graphlab.observe.sightings.by_hand import OwnBackwards
from graphlab.observe.sightings.clipped import ClipCalls
from graphlab.observe.sightings.cut_terms import CutTerms
from graphlab.observe.sightings.discarded import DiscardedResults
from graphlab.observe.sightings.examples.added_gradients import AddedGradients
from graphlab.observe.sightings.examples.watch import watchers_of_examples
from graphlab.observe.sightings.fates import Fates
from graphlab.observe.sightings.flow.watch import watchers_of_flow
from graphlab.observe.sightings.kept_gradients import KeptGradients
from graphlab.observe.sightings.pairs import Pairs
from graphlab.observe.sightings.ranks.steps import watchers_of_ranks
from graphlab.observe.sightings.softmaxes import Softmaxes
from graphlab.observe.sightings.state.watch import watchers_of_state
from graphlab.observe.sightings.unused import UnusedLosses
from graphlab.observe.sightings.usage.refused.lone_values import LoneValuesRefused
from graphlab.observe.sightings.usage.refused.refusals import RefusedOptimizers
from graphlab.observe.sightings.usage.refused.transforms import TransformsRefused
from graphlab.observe.sightings.usage.refused.unfit import GivenRefused
from graphlab.observe.sightings.usage.watch import watchers_of_usage
from graphlab.observe.sightings.watched import Watched, Watcher
from graphlab.observe.sightings.zeros import ZeroWatch
from graphlab.trace.sightings import Sighting


class Watchers:
    """`guard` is called with the observer's own exceptions."""

    def __init__(self, watched: Watched, guard: Callable[[Exception], None]) -> None:
        self._guard = guard
        self._zeros, self._kept = ZeroWatch(watched), KeptGradients(watched)
        self._added = AddedGradients(watched)
        self.numbers = NumberWatch(
            watched.log, watched.tracer, watched.files, watched.ledger, watched.table, guard
        )
        self._refused = RefusedOptimizers(watched)
        self._lone = LoneValuesRefused(watched)
        self._transforms = TransformsRefused(watched)
        self._given = GivenRefused(watched)
        self._of_ranks = tuple(watchers_of_ranks(watched))
        self._after_backwards = (
            self._zeros, self._kept, self._added, self.numbers, *self._of_ranks
        )  # fmt: skip
        self._all: tuple[Watcher, ...] = (
            Fates(watched),
            ClipCalls(watched),
            Softmaxes(watched),
            Pairs(watched),
            self._zeros,
            CutTerms(watched),
            UnusedLosses(watched),
            DiscardedResults(watched),
            OwnBackwards(watched),
            self._kept,
            self._added,
            self.numbers,
            *watchers_of_state(watched),
            *watchers_of_usage(watched),
            *watchers_of_flow(watched),
            *watchers_of_examples(watched),
            self._refused,
            self._lone,
            self._transforms,
            self._given,
            *self._of_ranks,
        )

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        for each in self._all:
            try:
                each.inspect(record, nodes, frame)
            except Exception as error:
                self._guard(error)

    def ended(self, record: RawBackward) -> None:
        """A backward has run."""
        for each in self._after_backwards:
            try:
                each.ended(record)
            except Exception as error:
                self._guard(error)

    def raised(self, error: BaseException) -> None:
        """The program ended with `error`, whose traceback has its variables still."""
        self.numbers.raised(error)
        self._refused.raised(error)
        self._lone.raised(error)
        self._transforms.raised(error)
        self._given.raised(error)
        for each in self._of_ranks:
            each.raised(error)

    def found(self) -> tuple[Sighting, ...]:
        found: list[Sighting] = []
        for each in self._all:
            try:
                found += each.found()
            except Exception as error:
                self._guard(error)
        return tuple(found)
