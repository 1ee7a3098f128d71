"""Looks at the first backwards of each line for a summand of the loss that lost its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, operation, walk
from graphlab.observe.lineage.summands.terms import OfConstants, OfData, cut_terms
from graphlab.observe.names import parameters_in
from graphlab.observe.notes import RawBackward, RawStep, Spot
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import is_tensor
from graphlab.source.places import locate
from graphlab.trace.model import Location
from graphlab.trace.sightings import TermCut

# A summand is reported if it had no graph at each of so many backwards.
LOOKS = 3
# How many nodes of sums are gone through, and how many nodes of a summand's graph.
DEEP, LARGEST = 64, 20_000
_SUMS = ("Add", "Sub")
_HANDED_ON = ("Mul", "Div", "Neg", "Clone", "ToCopy", "View", "Squeeze", "Alias")


class CutTerms:
    """`behind` has the parameters that a summand was cut off from, by identity."""

    def __init__(self, watched: Watched) -> None:
        self._files, self._watched = watched.files, watched
        self._looks: Counter[Spot | None] = Counter()
        self._seen: Counter[tuple[Spot | None, str, Location]] = Counter()
        # Those of which it is not known what they were computed from.
        self._of_data: set[tuple[Spot | None, str, Location]] = set()
        self._found: dict[tuple[Spot | None, str, Location], TermCut] = {}
        self._behind: dict[tuple[Spot | None, str, Location], set[int]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or record.spot is None or self._looks[record.spot] >= LOOKS:
            return
        self._looks[record.spot] += 1
        place_of = self._watched.table.place_of
        trained, log = self._watched.ledger.registry.owned().keys(), self._watched.log
        past = any(_leads_past(each, trained) for each in _summands(nodes))
        for term, cut, behind in cut_terms(frame, self._files, trained, log, past):
            at = cut.location()
            key = (record.spot, term, at)
            self._seen[key] += 1
            if isinstance(cut, OfData):
                self._of_data.add(key)
            self._found[key] = TermCut(
                at,
                cut.by,
                term,
                record.loss,
                record.call,
                locate(*record.spot),
                isinstance(cut, OfConstants),
            )
            for each in behind:
                parameters = [each] if is_tensor(each) else parameters_in(each)
                known = {place for p in parameters if (place := place_of(p)) is not None}
                self._behind.setdefault(key, set()).update(known)

    def found(self) -> Iterator[TermCut]:
        for key, each in self._found.items():
            if key in self._of_data and not self._misses_some():
                continue
            if self._seen[key] == self._looks[key[0]] >= 2 and self._meant(key):
                yield each

    def _misses_some(self) -> bool:
        """Whether an optimizer that has stepped has parameters which no loss has reached."""
        states = self._watched.ledger.registry.states
        return any(each.never_reached and each.steps for each in states)

    def _meant(self, key: tuple[Spot | None, str, Location]) -> bool:
        """Whether the summand was to train something: what it was cut off from is not only another
        optimizer's, as a discriminator is in the step of a generator."""
        ledger = self._watched.ledger
        behind = self._behind.get(key, set())
        holders = {each.at for each in ledger.registry.states if not behind.isdisjoint(each.owns)}
        loss = self._found[key].loss
        trained = {
            event.optimizer
            for event in list(self._watched.log.events)
            if isinstance(event, RawStep) and loss in event.sources
        }
        return not holders or not trained or bool(holders & trained)


def _summands(nodes: list[Any]) -> list[Any]:
    """The nodes of what a loss is the sum of, its own node being the first of `nodes`; none where
    it is no sum."""
    found: list[Any] = []
    pending, sums = nodes[:1], 0
    for _ in range(DEEP):
        if not pending:
            break
        node = pending.pop()
        inner = [each for each, _ in node.next_functions if each is not None]
        kind = operation(node).partition("Backward")[0]
        if kind in _SUMS and len(inner) > 1:
            sums += 1
            pending += inner
        elif kind in _HANDED_ON and len(inner) == 1:
            pending += inner
        else:
            found.append(node)
    return found if sums and not pending else []


def _leads_past(node: Any, trained: Collection[int]) -> bool:
    """Whether there are leaves below a node, and none of them is `trained`."""
    below = walk([node], LARGEST)
    leaves = [leaf for each in below if (leaf := leaf_of(each)) is not None]
    return len(below) < LARGEST and bool(leaves) and not any(id(p) in trained for p in leaves)
