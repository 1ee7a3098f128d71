"""Checksums of gradients and parameters at the same steps on every rank, without communication."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from threading import get_ident
from types import FrameType
from typing import Any

import torch

from graphlab.observe.distributed.checksums import NOTHING, WHOLE, checksum
from graphlab.observe.distributed.placement import placement
from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward, RawStep, RawWrite, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.vectors import shard_of
from graphlab.observe.sightings.ranks.buffers.broadcasts import BufferBroadcasts
from graphlab.observe.sightings.ranks.buffers.kept import KeptStatistics
from graphlab.observe.sightings.ranks.buffers.norms import BatchNorms
from graphlab.observe.sightings.ranks.buffers.own import OwnBuffers
from graphlab.observe.sightings.ranks.by_hand import written_together
from graphlab.observe.sightings.ranks.collectives import Collectives
from graphlab.observe.sightings.ranks.gathered import GatheredWeights
from graphlab.observe.sightings.ranks.inputs.batches import Batches
from graphlab.observe.sightings.ranks.inputs.epochs import Epochs
from graphlab.observe.sightings.ranks.inputs.frozen import FrozenModules
from graphlab.observe.sightings.ranks.inputs.labels import GatheredLabels
from graphlab.observe.sightings.ranks.inputs.modes import TrainingModes
from graphlab.observe.sightings.ranks.past import PastWrappers
from graphlab.observe.sightings.ranks.refusals import WrapperRefusals
from graphlab.observe.sightings.ranks.shards import ShardGradients
from graphlab.observe.sightings.ranks.updates.clips import Clips
from graphlab.observe.sightings.ranks.updates.rates import PlateauRates
from graphlab.observe.sightings.ranks.updates.settings import number_of, settings_of
from graphlab.observe.sightings.ranks.updates.shrunk import ShrunkGradients
from graphlab.observe.sightings.ranks.updates.sums import RepeatedSums
from graphlab.observe.sightings.ranks.weights import LossWeights
from graphlab.observe.sightings.ranks.wrappers import Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import grad_of, storage_key
from graphlab.source.files import user_frame
from graphlab.source.loops import loops_of
from graphlab.source.objects import attributes, class_name, exactly, item, items
from graphlab.source.places import line_place
from graphlab.source.wording import call_text, written_by
from graphlab.trace.ranks.sightings import (
    GradientWrite,
    RankSighting,
    RankStep,
    Scheduled,
    ShardStep,
    Source,
    Turns,
    Unsynced,
)

# A trace keeps this many of an optimizer's sampled steps: the first ones, and the last.
KEPT, FIRST_KEPT = 16, 4
LOOPS = 64


def watchers_of_ranks(watched: Watched) -> Iterator[RankSteps]:
    """None for a program of one process: it pays nothing."""
    if placement() is not None:
        yield RankSteps(watched, Collectives(watched))


class RankSteps:
    """Looks at the steps that the ledger compares by value, whose numbers are fixed."""

    def __init__(self, watched: Watched, collectives: Collectives) -> None:
        self._collectives = collectives
        self._thread = get_ident()
        self._log, self._tracer = watched.log, watched.tracer
        self._files, self._ledger = watched.files, watched.ledger
        self._table = watched.table
        self._wrappers = Wrappers(watched)
        self._refusals = WrapperRefusals(watched, self._wrappers)
        self._past = PastWrappers(watched)
        self._weights = LossWeights(watched, self._wrappers)
        self._buffers = OwnBuffers(watched, self._wrappers)
        self._kept = KeptStatistics(watched, self._wrappers)
        self._norms = BatchNorms(watched, self._wrappers)
        self._inputs = (Epochs(watched), Batches(watched, self._wrappers))
        self._modes = TrainingModes(watched, self._wrappers)
        self._labels = GatheredLabels(watched)
        self._frozen = FrozenModules(watched, self._wrappers)
        BufferBroadcasts(watched, collectives)
        self._gathered = GatheredWeights(watched)
        # {parameter's identity: the last backward that wrote it, and the checksum it left}
        self._fresh: dict[int, tuple[RawBackward, str]] = {}
        self._shards = ShardGradients()
        self._last: RawBackward | None = None
        self._clips = Clips(watched, collectives)
        self._shrunk = ShrunkGradients(watched, collectives)
        self._sums = RepeatedSums(watched, collectives)
        self._rates = PlateauRates(watched)
        self._found: dict[int, list[RankStep]] = {}
        self._scaled: list[ShardStep] = []
        self._ledger.on_compared_step.append(self._step)
        # So that ranks which part late are seen to do so soon after.
        self._ledger.registry.doubles = True
        self._schedulers: Counter[Spot] = Counter()
        self._restored: Counter[Spot] = Counter()
        watched.tracer.handle(torch.optim.Optimizer.load_state_dict, self._restores)
        rates = torch.optim.lr_scheduler
        for kind in (rates.LRScheduler, rates.ReduceLROnPlateau):
            watched.tracer.handle(kind.step, self._scheduled)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """A sampled backward is about to run."""
        self._collectives.inspect(record, nodes, frame)
        self._refusals.inspect(record, nodes, frame)
        self._weights.inspect(record, frame)
        self._norms.inspect(record, nodes)
        self._frozen.inspect()
        self._labels.inspect(record, nodes)

    def raised(self, error: BaseException) -> None:
        """The program ended with `error`."""
        self._past.raised(error)

    def ended(self, record: RawBackward) -> None:
        if self._wrappers.ended(record):
            self._collectives.counted(record.spot, "backward")
        self._weights.ended(record)
        self._buffers.ended()
        for state, optimizer in self._ledger.registry.followed():
            if not state.due:
                continue
            self._last = record
            self._shrunk.ended(record, state, optimizer)
            for parameter in parameters_of(optimizer):
                self._shards.left(parameter)
                place = self._table.place_of(parameter)
                if place in record.reached:
                    self._fresh[id(parameter)] = record, checksum(grad_of(parameter))

    def found(self) -> Iterator[RankSighting]:
        for steps in self._found.values():
            yield from steps
        yield from self._scaled
        yield from self._wrappers.found()
        yield from self._gathered.found()
        yield from self._refusals.found
        yield from self._past.found
        yield from self._collectives.found()
        yield from self._weights.found()
        yield from self._buffers.found()
        yield from self._kept.found()
        yield from self._norms.found()
        yield from self._frozen.found()
        for each in (
            *self._inputs,
            self._modes,
            self._labels,
            self._clips,
            self._shrunk,
            self._rates,
            self._sums,
        ):
            yield from each.found()
        for spot, count in self._schedulers.items():
            yield Scheduled(located(spot), count)
        for spot, count in self._restored.items():
            yield Scheduled(located(spot), count, "load_state_dict")
        iterations = self._tracer.iterations
        for (code, start), count in [*iterations.counts_in(self._thread).items()][:LOOPS]:
            loop = next((e for e in loops_of(code.co_filename) if e.start == start), None)
            if loop is not None and (code, start) not in iterations.lost:
                yield Turns(line_place(code.co_filename, loop.first, code.co_name), count)

    def _step(self, parameters: list[Any], grads: list[Any]) -> None:
        found = self._state_of(parameters)
        if found is None:
            return
        state, optimizer = found
        self._kept.stepped(state.steps)
        factor = self._shards.factor(parameters, grads)
        if factor is not None and self._last is not None and len(self._scaled) < KEPT:
            since = self._since([self._last])
            writes = tuple(self._writes(since, [*map(shard_of, grads)]))
            at, iteration = located(state.last_spot), self._iteration()
            self._scaled.append(ShardStep(at, state.at, state.steps, iteration, *factor, writes))
        kept = self._found.setdefault(state.at, [])
        pairs = [
            (parameter, grad, self._wrappers.of(parameter))
            for parameter, grad in zip(parameters, grads, strict=True)
        ]
        wrapped = any(each is not None for _, _, each in pairs)
        pairs = [
            pair for pair in pairs if wrapped and (pair[2] is not None or exactly(pair[0], *WHOLE))
        ]
        copied = self._collectives.copies.taken(state.at)
        sharded = any(class_name(each) == "DTensor" for each in parameters)
        if not pairs and torch.distributed.is_initialized():
            # The program averages itself, or nothing does.
            pairs = [
                (each, grad, None)
                for each, grad in zip(parameters, grads, strict=True)
                if exactly(each, *WHOLE)
            ]
            if len(pairs) < len(parameters) and not sharded:
                pairs = []
        if not pairs:
            return
        earlier = kept[-1].step if kept else 0
        if len(kept) == KEPT:
            del kept[FIRST_KEPT]
        sources: list[Source] = []
        source_of: list[int] = []
        fresh: list[str] = []
        places: list[int] = []
        records: list[tuple[RawBackward | None, str]] = []
        asked = self._last_grad()
        for parameter, grad, _ in pairs:
            gradient = self._ledger.registry.gradient(parameter)
            record, left = self._fresh.pop(id(parameter), (None, NOTHING))
            if gradient.sources and gradient.sources[-1].is_grad:
                record, left = gradient.sources[-1], checksum(grad)
            elif record is None and grad is not None:
                # No backward put it there: what torch.autograd.grad gave may have been worked on.
                record = asked
                left = checksum(grad) if record is not None else left
            records.append((record, left))
        since = self._since([record for record, _ in records if record is not None])
        together = written_together(self._log, since)
        together = {key: at for key in map(storage_key, grads) if (at := together.get(key or -1))}
        shared: list[bool] = []
        for (parameter, grad, wrapper), (record, left) in zip(pairs, records, strict=True):
            source = Source(None, "")
            shared.append(wrapper is not None or storage_key(grad) in together)
            if record is not None and wrapper is not None:
                source = self._wrappers.source(record, parameter, wrapper)
            elif wrapper is None:
                if record is not None:
                    source = Source(located(record.spot), record.call)
                others = next(iter(together.values()), None)
                if not shared[-1] and (others or record is not None):
                    late = self._collectives.copies.late(state.at)
                    source = _by_hand(source, others, copied, late)
                    if (sharded or wrapped) and source.why == "never":
                        source = replace(source, why="unsharded" if sharded else "beside")
            mean = together.get(storage_key(grad) or -1)
            if mean is not None and self._collectives.among(grad):
                line = located(mean)
                by = call_text(line, "all_reduce")[0]
                source = replace(source, cause=line, cause_by=by)
            if mean is not None and (why := self._collectives.unshared(mean)):
                line = located(mean)
                by = call_text(line, "all_reduce")[0]
                source = replace(source, why=why, cause=line, cause_by=by)
            if source not in sources:
                sources.append(source)
            source_of.append(sources.index(source))
            fresh.append(left)
            place = self._table.place_of(parameter)
            places.append(place if place is not None else self._table.tensor_index(parameter, None))
        self._buffers.stepped(state.steps)
        averaged = next(iter(together.values()), copied)
        self._clips.stepping(state, self._iteration(), self._last, averaged)
        self._shrunk.stepping(state, self._iteration(), averaged)
        self._sums.stepping(state, self._iteration(), [grad for _, grad, _ in pairs], places)
        among = tuple(self._collectives.among(grad) for _, grad, _ in pairs)
        groups = [group for _, group in items(attributes(optimizer).get("param_groups"))]
        kept.append(
            RankStep(
                at=located(state.last_spot),
                optimizer=state.at,
                step=state.steps,
                iteration=self._iteration(),
                tensors=tuple(places),
                values=tuple(checksum(parameter) for parameter, _, _ in pairs),
                fresh=tuple(fresh),
                gradients=tuple(checksum(grad) for _, grad, _ in pairs),
                sources=tuple(sources),
                source_of=tuple(source_of),
                writes=tuple(self._writes(since, [grad for _, grad, _ in pairs])),
                value_writes=tuple(
                    self._value_writes(
                        state.at, state.steps - earlier, [each for each, _, _ in pairs]
                    )
                ),
                rates=tuple(number_of(item(group, "lr")) for group in groups),
                settings=tuple(settings_of(group) for group in groups),
                shared=tuple(shared),
                groups=among if any(among) else (),
                rewritten=tuple(
                    self._wrappers.rewritten([(each, wrapper) for each, _, wrapper in pairs])
                    if not kept
                    else ()
                ),
            )
        )

    def _state_of(self, parameters: list[Any]) -> tuple[OptimizerState, Any] | None:
        identities = [*map(id, parameters)]
        for state, optimizer in self._ledger.registry.followed():
            if state.identities == identities and state.last_spot is not None and state.due:
                return state, optimizer
        return None

    def _iteration(self) -> int | None:
        return self._tracer.iterations.iteration(user_frame(sys._getframe(), self._files))

    def _last_grad(self) -> RawBackward | None:
        """The last torch.autograd.grad since the last step."""
        for raw in reversed(self._log.events):
            if isinstance(raw, RawStep):
                return None
            if isinstance(raw, RawBackward) and raw.is_grad:
                return raw
        return None

    def _since(self, records: list[RawBackward]) -> int:
        """Where, among the events, the last of these backwards stands; without any, what follows
        the last step."""
        wanted = {*map(id, records)}
        for at in range(len(self._log.events) - 1, -1, -1):
            raw = self._log.events[at]
            if id(raw) in wanted:
                return at
            if not wanted and isinstance(raw, RawStep):
                return at + 1
        return 0

    def _writes(self, since: int, grads: list[Any]) -> Iterator[GradientWrite]:
        """What was written to these gradients after the event at `since`."""
        keys = {storage_key(grad) for grad in grads if grad is not None}
        began = self._log.events[since] if since < len(self._log.events) else None
        # What runs at a backward's own place is part of it, as where FSDP reduces.
        told = {began.spot} if isinstance(began, RawBackward) else set[Spot | None]()
        first = began.seq if began is not None else 0
        for clip in self._clips.taken():
            if clip.seq >= first and clip.spot not in told:
                told.add(clip.spot)
                at = located(clip.spot)
                yield GradientWrite(at, call_text(at, "clip_grad_norm_")[0])
        for at in range(since, len(self._log.events)):
            raw = self._log.events[at]
            if not isinstance(raw, RawWrite) or raw.optimizer is not None or raw.spot in told:
                continue
            if any(each[0] in keys for each in raw.tensors):
                told.add(raw.spot)
                place = located(raw.spot)
                yield GradientWrite(place, written_by(place, raw.by, raw.direct))

    def _value_writes(
        self, optimizer: int, steps: int, parameters: list[Any]
    ) -> Iterator[GradientWrite]:
        """What wrote to the parameters in this optimizer's last `steps` steps."""
        keys = {storage_key(each) for each in parameters}
        told: set[Spot | None] = set()
        for raw in reversed(self._log.events):
            if isinstance(raw, RawStep) and raw.optimizer == optimizer:
                steps -= 1
                if steps <= 0:
                    break
            if not isinstance(raw, RawWrite) or raw.optimizer is not None or raw.spot in told:
                continue
            if any(each[0] in keys for each in raw.tensors):
                told.add(raw.spot)
                place = located(raw.spot)
                yield GradientWrite(place, written_by(place, raw.by, raw.direct))

    def _scheduled(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back) if event == "call" else None
        if spot is not None:
            self._schedulers[spot] += 1

    def _restores(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back) if event == "call" else None
        if spot is not None:
            self._restored[spot] += 1


def _by_hand(source: Source, others: Spot | None, copied: Spot | None, late: Spot | None) -> Source:
    """Of a gradient that no wrapper averages, and no collective overwrites: `others` are, in that
    line, or a copy of it was `copied`, or those of the step before were averaged after it, `late`.
    """
    spot = others or copied or late
    if spot is None:
        return replace(source, why="never")
    at = located(spot)
    why: Unsynced = "by-hand" if others else "copied" if copied else "late"
    return replace(source, why=why, cause=at, cause_by=call_text(at, "all_reduce")[0])
