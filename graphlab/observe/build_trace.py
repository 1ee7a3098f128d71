"""Turns the raw log into a Trace: names, lines and plain numbers, without tensors."""

from __future__ import annotations

import linecache
import platform
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from graphlab._version import __version__
from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.observe.backward_calls import BackwardCalls
from graphlab.observe.distributed.placement import placed
from graphlab.observe.graph.kept import GrowingGraphs
from graphlab.observe.graph.wasted import wasted
from graphlab.observe.iterations import Iterations
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.notes import (
    Log,
    Problem,
    RawBackward,
    RawModule,
    RawRefused,
    RawStep,
    RawWrite,
    RawZero,
    located,
)
from graphlab.observe.optimizers.out_of_use import frozen_steps, kept_frozen
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.optimizers.unowned import ReachedParameters
from graphlab.source.files import UserFiles
from graphlab.source.wording import call_text, written_by
from graphlab.trace.model import (
    Backward,
    Environment,
    Event,
    Failure,
    Forgotten,
    Location,
    Module,
    OptimizerInfo,
    Refused,
    Saved,
    Step,
    TensorInfo,
    Trace,
    Untouched,
    Write,
    ZeroGrad,
)
from graphlab.trace.module_sightings import Restored
from graphlab.trace.sightings import Sighting
from graphlab.trace.values import IN_PLACE, by_parts

# How many events a Trace keeps: the last ones, as that is where an error is.
KEEP = 2_000
# How many of the steps that a rule may report are kept, however old they are.
NOTABLE = 16


class TraceBuilder:
    """Builds Traces from a log; `table` collects the tensors that their events refer to."""

    def __init__(
        self, log: Log, files: UserFiles, target: str, table: TensorTable, iterations: Iterations
    ) -> None:
        self.table = table
        self._iterations = iterations
        self._log = log
        self._files = files
        self._target = target

    def build(
        self,
        registry: OptimizerRegistry,
        backward_calls: BackwardCalls,
        reached: ReachedParameters,
        growth: GrowingGraphs,
        wasteful: list[RawBackward],
        sightings: tuple[Sighting, ...],
        error: BaseException | None,
        notices: list[str],
    ) -> Trace:
        optimizers = registry.states
        names = [registry.name_of(at) for at in range(len(optimizers))]
        examples = [*backward_calls.examples(), *wasteful[:NOTABLE], *registry.measured()]
        kept = self._keep(list(self._log.events), examples)
        events, _ = self.events(kept, names, [state.owns for state in optimizers])
        failure = self._failure(error)
        interrupted = isinstance(error, KeyboardInterrupt)
        exited = isinstance(error, SystemExit) or error is None
        return Trace(
            target=self._target,
            outcome="completed" if exited else "interrupted" if interrupted else "raised",
            environment=environment(),
            exception=failure,
            tensors=by_parts(self.table.tensors, [each.owns for each in optimizers]),
            optimizers=tuple(
                self._optimizer(each, name) for each, name in zip(optimizers, names, strict=True)
            ),
            events=events,
            iterations=_iterations(kept, exited),
            forgotten=self._forgotten(registry, reached),
            growing=tuple(growth.found.values()),
            sightings=sightings,
            sources=self._sources(events, sightings, failure, _causes(sightings, growth)),
            unseen=(*_unfollowed(optimizers, names), *notices),
        )

    def events(
        self, raws: list[Any], names: list[str], owns: Sequence[Iterable[int]]
    ) -> tuple[tuple[Event, ...], dict[int, tuple[int, ...]]]:
        """Raw events resolved, and the places of each by its identity: a write to several tensors
        becomes several. `names` are the optimizers', `owns` the places of their parameters."""
        events: list[Event] = []
        places: dict[int, tuple[int, ...]] = {}
        for raw in raws:
            made = self._event(raw, names)
            places[id(raw)] = tuple(range(len(events), len(events) + len(made)))
            events.extend(made)
        position = {key: those[0] for key, those in places.items()}
        # Second pass: problems point at other events, which now have their place.
        for raw in raws:
            if isinstance(raw, RawBackward) and (raw.problems or raw.thrown):
                at = position[id(raw)]
                event = events[at]
                assert isinstance(event, Backward)
                events[at] = self._with_problems(event, raw, position, owns)
        return tuple(events), places

    @staticmethod
    def _keep(events: list[Any], examples: list[RawBackward | RawStep]) -> list[Any]:
        """The last events, every inspected trouble, and whatever those point at; and `examples`,
        the first of a kind. The log may have let go of what these point at, and of them."""
        first = {*map(id, examples)}
        pointed, notable = dict[int, Any](), list[Any]()
        for raw in (*examples, *events):
            if isinstance(raw, RawBackward) and (raw.problems or id(raw) in first):
                for problem in raw.problems:
                    for each in (problem.write, problem.freed_by):
                        if each is not None:
                            pointed[id(each)] = each
                pointed[id(raw)] = raw
            elif id(raw) in first:
                pointed[id(raw)] = raw
            elif isinstance(raw, RawStep) and (raw.leftover or raw.nothing_new or raw.shared):
                notable.append(raw)
        pointed.update((id(raw), raw) for raw in notable[:NOTABLE])
        kept = [raw for raw in events[:-KEEP] if id(raw) in pointed] + events[-KEEP:]
        known = {*map(id, kept)}
        gone = [raw for key, raw in pointed.items() if key not in known]
        return sorted(gone, key=lambda raw: raw.seq) + kept

    def _forgotten(
        self, registry: OptimizerRegistry, reached: ReachedParameters
    ) -> tuple[Forgotten, ...]:
        if not any(state.steps for state in registry.states):
            return ()
        first = next((s.spot for s in registry.states if s.steps), None)
        return tuple(
            Forgotten(
                leaf.index,
                leaf.record.call,
                located(leaf.record.spot),
                located(leaf.built or first),
                leaf.made,
                leaf.added,
                leaf.anew,
                leaf.meant,
                leaf.since,
            )
            for leaf in reached.unowned(registry.owned(), any(map(kept_frozen, registry.states)))
        )

    def _event(self, raw: Any, names: list[str]) -> list[Event]:
        at = located(raw.spot)
        if isinstance(raw, RawWrite):
            if raw.at is not None:
                inner = raw.by
                by = written_by(raw.at, inner, False)
                return [
                    Write(raw.seq, raw.at, by, -1, None, None, raw.silent, inferred=raw.inferred)
                ]
            if raw.optimizer is None:
                by = written_by(at, raw.by, raw.direct)
            else:
                by = f"{names[raw.optimizer]}.step()"
            found: list[Event] = []
            for key, _, _, before, after in raw.tensors:
                index = self.table.of_storage(key)
                if index is None:
                    continue
                found.append(Write(raw.seq, at, by, index, before, after, raw.silent))
            return found or [Write(raw.seq, at, by, -1, None, None, raw.silent)]
        if isinstance(raw, RawRefused):
            by_module = raw.by.endswith(IN_PLACE)
            write_of_a_graph = bool(raw.by) and raw.kind in ("leaf", "view") and not by_module
            by = written_by(at, raw.by, True) if write_of_a_graph else raw.by
            tensor = self.table.add(raw.info)
            write = raw.write
            there = located(write.spot) if write is not None else None
            writer = written_by(there, write.by, write.direct) if write is not None else ""
            refused = Refused(
                raw.seq, at, by, tensor, raw.kind, raw.iteration, raw.made, there, writer,
                raw.made_by,
            )  # fmt: skip
            return [refused]
        if isinstance(raw, RawModule):
            return [Module(raw.seq, at, self.table.module_name(raw.module))]
        if isinstance(raw, RawZero):
            return [ZeroGrad(raw.seq, at, call_text(at, "zero_grad")[0], raw.iteration)]
        if isinstance(raw, RawStep):
            return [
                Step(
                    raw.seq, at, raw.optimizer, raw.iteration, raw.sources, raw.mix, raw.leftover,
                    raw.nothing_new, raw.shared, raw.shared_with, located(raw.again),
                )
            ]  # fmt: skip
        assert isinstance(raw, RawBackward)
        backward: Event = Backward(
            raw.seq, at, raw.call, raw.loss, raw.iteration, raw.retain_graph, raw.reached,
            raw.raised_type, (), raw.thrown_away, raw.trouble,
            self.table.add(raw.subject) if raw.subject is not None else None,
            raw.cut.location() if raw.cut is not None else None,
            raw.cut.by if raw.cut is not None else "",
            raw.nodes,
            carriers=raw.carriers,
            node=raw.node,
            cosine=raw.harm.cosine if raw.harm is not None else None,
            relative_error=raw.harm.relative_error if raw.harm is not None else None,
            # The statement that made the loss, and not the instruction of a call.
            handed_over=raw.spot is not None and raw.spot[1] < 0,
            leads_to=raw.leads_to,
            twice=raw.twice,
        )  # fmt: skip
        return [backward]

    def _with_problems(
        self,
        event: Backward,
        raw: RawBackward,
        position: dict[int, int],
        owns: Sequence[Iterable[int]],
    ) -> Backward:
        return replace(
            event,
            problems=tuple(self._saved(problem, position) for problem in raw.problems),
            waste=wasted(raw, owns) if raw.thrown else None,
        )

    def _saved(self, problem: Problem, position: dict[int, int]) -> Saved:
        named = problem.named
        index = -1
        if named is not None:
            index = self.table.add(
                TensorInfo(
                    name=named.name or None,
                    kind=named.kind,
                    shape=problem.shape,
                    dtype=problem.dtype,
                    owner=named.owner,
                    requires_grad=named.kind == "parameter",
                )
            )
        return Saved(
            seq=problem.seq,
            operation=problem.operation,
            at=problem.at or located(problem.spot),
            module=problem.module,
            tensor=index,
            saved_version=problem.saved_version,
            current_version=problem.version,
            state=problem.state,  # pyright: ignore[reportArgumentType]
            write=position.get(id(problem.write)),
            freed_by=position.get(id(problem.freed_by)),
            within=located(problem.within),
            recorded=problem.recorded,
            alone=problem.alone,
        )

    def _optimizer(self, state: OptimizerState, name: str) -> OptimizerInfo:
        mix = state.measured.mix if state.measured is not None else None
        untouched = [
            Untouched(self.table.tensors[index].name or f"parameter {index}", why)
            for index, why in state.untouched.items()
            if index not in state.touched
        ]
        return OptimizerInfo(
            name=name,
            class_name=state.class_name,
            steps=state.steps,
            at=located(state.spot or state.last_spot),
            owns=tuple(state.owns),
            touched=tuple(state.touched),
            untouched=tuple(untouched),
            shares=mix.shares if mix is not None else (),
            cosines=mix.cosines if mix is not None else (),
            by_parameter=state.by_parameter,
            sampled_steps=tuple(state.sampled),
            others_changed=tuple(state.others),
            strangers=state.strangers,
            never_reached=state.never_reached,
            cut=state.cut.location() if state.cut is not None else None,
            cut_by=state.cut.by if state.cut is not None else "",
            unused=state.unused,
            leaf_loss=state.leaf_loss,
            leaf_name=state.leaf_name,
            frozen=state.frozen.location() if state.frozen is not None else None,
            frozen_by=state.frozen.by if state.frozen is not None else "",
            **frozen_steps(state),
            elsewhere=state.elsewhere,
            fed=state.fed,
            zeroed=state.zeroed,
            scheduled=state.scheduled,
            scheduled_at=located(state.scheduled_spot),
            in_vain=state.in_vain,
            handed_on=state.handed_on,
            by_hand=state.by_hand,
        )

    def _failure(self, error: BaseException | None) -> Failure | None:
        if error is None or isinstance(error, SystemExit):
            return None
        at = None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code in self._files:
                at = frame
        spot = None
        tb = error.__traceback__
        while tb is not None:
            spot = (tb.tb_frame.f_code, tb.tb_lasti) if tb.tb_frame is at else spot
            tb = tb.tb_next
        iteration = self._iterations.of_traceback(error.__traceback__)
        return Failure(type(error).__name__, str(error), located(spot), iteration)

    @staticmethod
    def _sources(
        events: tuple[Event, ...],
        sightings: tuple[Sighting, ...],
        failure: Failure | None,
        more: Iterable[Location | None] = (),
    ) -> dict[str, str]:
        files = {each.at.file for each in sightings if each.at is not None}
        files |= {place.file for each in events for place in places_of(each)}
        files |= {each.file for each in more if each is not None}
        if failure is not None and failure.at is not None:
            files.add(failure.at.file)
        return {name: "".join(linecache.getlines(name)) for name in sorted(files)}


def places_of(event: Event) -> Iterator[Location]:
    """The lines of an event that a rule may read the source of."""
    places = [event.at]
    if isinstance(event, Refused):
        places.append(event.made)
    if isinstance(event, Backward):
        places += [event.cut, *(each.at for each in event.problems)]
        if event.node is not None:
            places += [event.node.at, event.node.raised_at]
    yield from (each for each in places if each is not None)


def _causes(sightings: tuple[Sighting, ...], growth: GrowingGraphs) -> Iterator[Location | None]:
    """Lines that brought about what was seen, which may be in files where nothing else happened."""
    for each in sightings:
        if isinstance(each, Restored):
            yield each.taken
    yield from (each.kept_at for each in growth.found.values())


def _iterations(kept: list[Any], ended: bool) -> int:
    """How many began. What runs after the last step, such as a test, begins none."""
    numbers = [(getattr(each, "iteration", None), each) for each in kept]
    numbered = [(at + 1, each) for at, each in numbers if at is not None]
    trained = [at for at, each in numbered if isinstance(each, RawBackward | RawStep)]
    return max((ended and trained) or [at for at, _ in numbered], default=0)


def _unfollowed(optimizers: list[OptimizerState], names: list[str]) -> list[str]:
    away = [name for each, name in zip(optimizers, names, strict=True) if each.elsewhere]
    return [message("observed.unseen.steps_elsewhere", names=listing(away))] if away else []


def environment() -> Environment:
    import torch

    used = torch.cuda.is_available() and torch.cuda.is_initialized()
    device = f"cuda ({torch.cuda.get_device_name()})" if used else "cpu"
    return Environment(
        python=platform.python_version(),
        torch=str(torch.__version__),
        device=device,
        seed=torch.initial_seed(),
        graphlab=__version__,
        **placed(),
    )
