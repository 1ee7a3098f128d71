"""Tells for each line with a backward whether a step applied its gradients, or a zero_grad came
first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import (
    KEEP_EVENTS,
    RawBackward,
    RawStep,
    RawWrite,
    RawZero,
    Spot,
    located,
)
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import storage_key
from graphlab.source.wording import call_text
from graphlab.trace.sightings import Sighting, Starved
from graphlab.trace.steps.sightings import Fate


class Fates:
    def __init__(self, watched: Watched) -> None:
        self._log, self._ledger = watched.log, watched.ledger

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: every backward is followed (optimizers/provenance.py)."""

    def found(self) -> Iterator[Sighting]:
        self._note_writes()
        states = self._ledger.registry.states
        clears = self._last_clears()
        for spot, records in self._ledger.provenance.by_line.items():
            reached = {index for record in records for index in record.reached}
            holders = tuple(each.at for each in states if not reached.isdisjoint(each.owns))
            before = {clears[id(each)] for each in records if id(each) in clears}
            ends = [_end(each) for each in records]
            fate = _fate(spot, records[0].call, ends, holders, before)
            yield self._with_leftovers(fate, spot)
            yield from self._of_one(spot, records, holders, before)
        for state in states:
            if state.steps > 1 and not state.fed and not state.handed_on:
                yield from self._starved(state)

    def _of_one(
        self,
        spot: Spot | None,
        records: list[RawBackward],
        holders: tuple[int, ...],
        before: set[Spot | None],
    ) -> Iterator[Fate]:
        """What became of the gradients of one optimizer among several that step as often, or more
        often: where they were cleared, others may have applied theirs."""
        states = [each for each in self._ledger.registry.states if each.at in holders]
        most = max((each.steps for each in states), default=0)
        if len(states) < 2:
            return
        whole = [_end(each) for each in records]
        alike = all(each.steps == most for each in states)
        for state in states:
            if not state.steps or (state.steps == most and not alike):
                continue
            ends = [_end_of(each, state.owns) for each in records]
            if any(
                one == "D" and (all_ == "A" or not alike)
                for (one, _), (all_, _) in zip(ends, whole, strict=True)
            ):
                fate = _fate(spot, records[0].call, ends, (state.at,), before)
                yield replace(fate, rarer=not alike)

    def _with_leftovers(self, fate: Fate, spot: Spot | None) -> Fate:
        """As it is; or, where one optimizer steps once in several backwards of this one line, with
        what a call clears again and again of those that are too few for a step."""
        stepping = [each.at for each in self._ledger.registry.states if each.steps]
        if len(stepping) != 1 or fate.holders != tuple(stepping) or spot is None:
            return fate
        windows, left, clears = Counter[int](), Counter[tuple[Spot, int]](), Counter[Spot | None]()
        pending = seen = 0
        events = list(self._log.events)
        # What was before the first event that is kept is not known.
        whole = len(events) < KEEP_EVENTS
        for event in events:
            if isinstance(event, RawBackward) and not event.is_grad:
                if event.spot != spot or event.raised_type is not None:
                    return fate
                pending, seen = pending + 1, seen + 1
            elif isinstance(event, RawStep):
                windows[pending] += whole
                pending, whole = 0, True
            elif isinstance(event, RawZero):
                if not pending:
                    clears[event.spot] += 1
                elif event.spot is not None and whole:
                    left[event.spot, pending] += 1
                pending, whole = 0, True
        if len(windows) != 1 or len(left) != 1:
            return fate
        ((window, _),), (((at, count), times),) = windows.items(), left.items()
        # The clearing after each step is another call, or the gradients would be kept on purpose.
        if (
            count >= window
            or times < 2
            or not any(clears[each] > 1 for each in clears if each != at)
        ):
            return fate
        return replace(fate, window=window, left=count, times=times, all=seen, left_at=located(at))

    def _starved(self, state: OptimizerState) -> Iterator[Starved]:
        lost = self._ledger.provenance.lost
        found = next((lost[index] for index in state.owns if index in lost), None)
        if found is not None:
            record, spot = found
            at = located(record.spot)
            cleared = located(spot)
            by = call_text(cleared, "zero_grad")[0]
            yield Starved(at, record.call, state.at, cleared, by)

    def _last_clears(self) -> dict[int, Spot | None]:
        """The last call of zero_grad before each backward, by that one's identity."""
        found: dict[int, Spot | None] = {}
        last: Spot | None = None
        for event in list(self._log.events):
            if isinstance(event, RawZero):
                last = event.spot
            elif isinstance(event, RawBackward):
                found[id(event)] = last
        return found

    def _note_writes(self) -> None:
        """Note which optimizers' parameters the program has written itself, between two backwards:
        what comes after the last one, as a library's move to another device, trains nothing."""
        written: set[Any] = set()
        since: set[Any] = set()
        trained = False
        for event in list(self._log.events):
            if isinstance(event, RawBackward):
                written |= since
                since, trained = set(), trained or not event.is_grad
            elif not isinstance(event, RawWrite) or event.optimizer is not None:
                continue
            elif trained and not event.stays():
                since |= {tensor[0] for tensor in event.tensors}
        for state in self._ledger.registry.alive if written else ():
            optimizer = state.ref()
            mine = parameters_of(optimizer) if optimizer is not None else ()
            state.by_hand = state.by_hand or any(storage_key(each) in written for each in mine)


# What became of the gradients of one backward: "A" where a step applied them, "D" where they were
# cleared before any did; and the call that cleared them.
_End = tuple[str, Spot | None]


def _end(record: RawBackward) -> _End:
    return "A" if record.applied else "D" if record.lost else "-", record.cleared_at


def _end_of(record: RawBackward, owns: Iterable[int]) -> _End:
    """The same of the parameters at `owns` alone."""
    lost_to = record.lost_to or {}
    mine = {*owns}.intersection(record.reached)
    to = {lost_to.get(each) for each in mine}
    if mine and lost_to.keys() >= mine and len(to) == 1:
        return "D", to.pop()
    return "A" if record.applied else "-", None


def _fate(
    spot: Spot | None,
    call: str,
    ends: list[_End],
    holders: tuple[int, ...],
    before: set[Spot | None],
) -> Fate:
    marks = [mark for mark, _ in ends]
    between = [len(part.replace("-", "")) for part in "".join(marks).split("A")[1:-1]]
    lost = {spot for mark, spot in ends if mark == "D"}
    used = {spot for mark, spot in ends if mark == "A"}
    clearing = next(iter(lost)) if len(lost) == 1 else None
    cleared = located(clearing)
    return Fate(
        located(spot),
        call,
        holders,
        len(ends),
        marks.count("A"),
        marks.count("D"),
        min(between, default=0),
        cleared,
        call_text(cleared, "zero_grad")[0] if cleared is not None else "",
        clearing is not None and (used - {None} == {clearing} or before == {clearing}),
    )
