"""Looks at the first backwards of each line for a summand of the loss that lost its graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.lineage.terms import cut_terms
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.sightings.watched import Watched
from graphlab.source.places import locate
from graphlab.trace.model import Location
from graphlab.trace.sightings import TermCut

# A summand is reported if it had no graph at each of so many backwards.
LOOKS = 3


class CutTerms:
    def __init__(self, watched: Watched) -> None:
        self._files, self._registry = watched.files, watched.ledger.registry
        self._looks: Counter[Spot | None] = Counter()
        self._seen: Counter[tuple[Spot | None, str, Location]] = Counter()
        self._found: dict[tuple[Spot | None, str, Location], TermCut] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or record.spot is None or self._looks[record.spot] >= LOOKS:
            return
        self._looks[record.spot] += 1
        trained = self._registry.owned().keys()
        for term, cut in cut_terms(frame.f_back, record.loss, self._files, trained):
            at = cut.location()
            key = (record.spot, term, at)
            self._seen[key] += 1
            self._found[key] = TermCut(
                at, cut.by, term, record.loss, record.call, locate(*record.spot)
            )

    def found(self) -> Iterator[TermCut]:
        for key, each in self._found.items():
            if self._seen[key] == self._looks[key[0]] >= 2:
                yield each
