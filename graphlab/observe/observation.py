"""One observation: installs every hook, collects what they note, and removes them again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from graphlab.errors import pass_on
from graphlab.language import message
from graphlab.observe.backward_calls import BackwardCalls
from graphlab.observe.build_trace import TraceBuilder
from graphlab.observe.film.build_film import build_film
from graphlab.observe.film.recorder import FilmedIteration, Recorder
from graphlab.observe.film.snapshots import Snapshot, Snapshots
from graphlab.observe.graph.kept import GrowingGraphs
from graphlab.observe.hooks.line_tracer import ELSEWHERE
from graphlab.observe.hooks.lines.choice import line_tracer
from graphlab.observe.hooks.modules.calls import ModuleCalls
from graphlab.observe.hooks.rare_calls import RareCalls
from graphlab.observe.hooks.stack_depth import RecursionLimit
from graphlab.observe.hooks.stand_aside import COMPILED, StandAside
from graphlab.observe.hooks.thread_errors import ThreadErrors, passed_through_torch
from graphlab.observe.hooks.weak_references import HiddenReferences
from graphlab.observe.hooks.write_patches import WritePatches
from graphlab.observe.iterations import Iterations
from graphlab.observe.live_objects import LiveObjects, TensorTable
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.observe.optimizers.unowned import ReachedParameters
from graphlab.observe.postmortem.unseen import UnseenErrors
from graphlab.observe.price.budget import Budget, Together
from graphlab.observe.process_state import PROCESS
from graphlab.observe.program_end import strip_own_frames
from graphlab.observe.refusals.writes import refusal
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.sightings.watchers import Watchers
from graphlab.observe.tensors import Unnoticed
from graphlab.source.files import UserFiles
from graphlab.trace.film import Film
from graphlab.trace.merge import joined
from graphlab.trace.model import Trace


class Observation:
    """Observes what runs while it is open. Use as a context manager; `trace` is the result.

    Exceptions pass through unchanged. Only one observation is active at a time: an outer one is
    suspended while an inner one is open, and its trace then includes what the inner one saw. One
    that `gives_way` is stopped instead when another starts.

    Raises:
        RuntimeError: on starting one that is open already.
    """

    def __init__(
        self, target: str = "<session>", targets: tuple[str, ...] = (), gives_way: bool = False
    ) -> None:
        self.gives_way = gives_way
        self.files = files = UserFiles(targets)
        self._log = log = Log()
        self.iterations = iterations = Iterations()
        self._tracer = tracer = line_tracer(log, files, iterations, self._own_error)
        self._module_calls = ModuleCalls(log, tracer, files)
        self._table = table = TensorTable()
        self._trace_builder = TraceBuilder(log, files, target, table, iterations)
        self._write_patches = write_patches = WritePatches(log, tracer, self._write_refused)
        self._backward_calls = BackwardCalls(
            log, tracer, write_patches, iterations, files, self, self._own_error
        )
        self._ledger = ledger = OptimizerLedger(
            log, tracer, write_patches, iterations, files, table.tensor_index, self._own_error
        )
        ledger.registry.info_of = table.info_of
        ledger.registry.known_place = table.place_of
        ledger.on_built = self._backward_calls.look_again
        self.live_objects = LiveObjects(table, ledger.registry)
        self._growing = GrowingGraphs(files)
        RareCalls(log, tracer, files)
        watched = Watched(log, tracer, files, ledger, table)
        self._watchers = Watchers(watched, self._own_error)
        self.numbers = self._watchers.numbers
        self._reached_parameters = ReachedParameters(log, files, ledger.registry)
        self._notices: list[str] = []
        self.snapshots = Snapshots(log, files, iterations, target, ledger.registry.name_of)
        self.numbers.on_alarm = self.snapshots.alarmed
        self._recorder: Recorder | None = None
        self._trace: Trace | None = None
        self._tracing = False
        self._recursion_limit: RecursionLimit | None = None
        # The observation around this one, and the traces of those inside it.
        self._outer: Observation | None = None
        self._inner_traces: list[Trace] = []
        self._unseen = UnseenErrors(log, iterations, files, target, targets, ledger.registry)
        self._threads = ThreadErrors(self._thread_ended)
        self._references = HiddenReferences()
        self._stand_aside = StandAside(self._step_aside, self._step_back, tracer)
        self._budget: Budget | None = None

    @property
    def open(self) -> bool:
        """Whether it has started and not stopped; true also while an inner one suspends it."""
        return self._recursion_limit is not None and self._trace is None

    @property
    def over(self) -> bool:
        """Whether it has stopped, so that `trace` is final."""
        return self._trace is not None

    @property
    def trace(self) -> Trace:
        """What was observed; so far, while it is open."""
        if self._trace is not None:
            return self._trace
        self._notice_lost_sight()
        with Unnoticed():
            return self._build(None)

    def start(self, frame: FrameType | None = None, below: int = 0) -> Observation:
        """Install the hooks. `frame` (default: the caller) and its callers are traced as well as
        what they call. `below` is how many of graphlab's frames are under the program's first."""
        if PROCESS.active is not None and PROCESS.active.gives_way:
            PROCESS.active.stop()
        outer = PROCESS.active
        while outer is not None:
            if outer is self:
                raise RuntimeError("this graphlab session is already open")
            outer = outer._outer
        self._outer, PROCESS.active = PROCESS.active, self
        if self._outer is not None:
            self._outer._suspend(frame or sys._getframe(1))
        self._recursion_limit = RecursionLimit(below, self._tracer.above)
        self._tracer.limit = self._recursion_limit
        try:
            self._resume(frame or sys._getframe(1))
        except BaseException:
            self.stop(None)
            raise
        return self

    def _resume(self, frame: FrameType | None) -> None:
        """Install every hook."""
        self._log.began = self._log.began or self._tracer.seq()
        self._write_patches.start()
        self._module_calls.start()
        self._ledger.steps.start()
        self._threads.start()
        self._references.start()
        self._tracer.start()
        self._tracing = True
        self._tracer.begin_frames(frame)
        if self._recursion_limit is not None:
            self._recursion_limit.start()
        self._stand_aside.start()

    def _suspend(self, frame: FrameType | None) -> None:
        """Remove every hook. Safe to call twice."""
        self._notice_lost_sight()
        self._tracing = False
        self.numbers.stop()
        self._stand_aside.stop()
        if self._recursion_limit is not None:
            self._recursion_limit.stop()
        self._tracer.stop(frame)
        self._references.stop()
        self._threads.stop()
        self._ledger.steps.stop()
        self._module_calls.stop()
        self._write_patches.stop()

    def stop(self, error: BaseException | None = None, frame: FrameType | None = None) -> None:
        """Remove every hook and build the trace. Safe to call twice."""
        frame = frame or sys._getframe(1)
        # Python drops the trace function as the stack overflows or Ctrl-C comes: nothing ran since.
        if isinstance(error, RecursionError | KeyboardInterrupt):
            self._tracing = False
        if self._recorder is not None and self._trace is None:
            self._recorder.stop(raised=isinstance(error, Exception))
        self._suspend(frame)
        try:
            if self._trace is None:
                strip_own_frames(error)
                with Unnoticed():
                    self._explain_unseen(error)
                    self._trace = self._build(error)
        finally:
            if PROCESS.active is self:
                PROCESS.active = self._outer
                if PROCESS.active is not None:
                    PROCESS.active._resume_after(self._trace, frame)

    def _resume_after(self, inner: Trace | None, frame: FrameType | None) -> None:
        """The observation inside this one has stopped with the trace `inner`."""
        if inner is not None:
            self._inner_traces.append(inner)
        self._resume(frame)

    def _step_aside(self) -> None:
        """torch compiles the program or is being imported: it must see unpatched functions."""
        self._write_patches.take_out()
        self._module_calls.step_aside()
        self._tracer.step_aside()
        if self._recursion_limit is not None:
            self._recursion_limit.take_out()

    def _step_back(self, guarded: bool) -> None:
        self._write_patches.put_in(guarded)
        self._module_calls.step_back()
        self._tracer.step_back()
        if self._recursion_limit is not None:
            self._recursion_limit.put_in()

    def _explain_unseen(self, error: BaseException | None) -> None:
        try:
            if error is not None:
                names = Names(self.files).gather_traceback(error)
                self._ledger.registry.name_by(names)
                self._watchers.raised(error)
            self._unseen.explain(error)
        except Exception as own:
            self._own_error(own)

    def _thread_ended(self, error: BaseException) -> None:
        """Another thread ended with `error`. If it passed through torch, explain it as one that
        ends the program; from its traceback alone where the thread was not followed."""
        try:
            if not passed_through_torch(error):
                return
            followed = self._tracer.follows_here()
            key = "thread_ended" if followed else "thread_not_followed"
            self._notice(message(f"observed.unseen.{key}", error=type(error).__name__))
            with self._tracer.lock, Unnoticed():
                (self._unseen.explain if followed else self._unseen.infer)(error)
        except Exception as own:
            self._own_error(own)

    def _build(self, error: BaseException | None) -> Trace:
        trace = self._assemble(error)
        for other in (*self._inner_traces, *self._unseen.inferred):
            trace = joined(trace, other)
        return trace

    def _assemble(self, error: BaseException | None) -> Trace:
        return self._trace_builder.build(
            self._ledger.registry,
            self._backward_calls,
            self._reached_parameters,
            self._growing,
            [*self._ledger.provenance.wasteful.values()],
            self._watchers.found(),
            error,
            [
                *([COMPILED] if self._stand_aside.seen else []),
                *([ELSEWHERE] if self._elsewhere() else []),
                *(self._budget.notices() if self._budget is not None else []),
                *self._notices,
            ],
        )

    def _elsewhere(self) -> bool:
        """Whether other threads ran torch, unless their optimizers' steps say so already."""
        named = any(state.elsewhere for state in self._ledger.registry.states)
        return self._tracer.elsewhere and not named

    def progress(self) -> tuple[int, int | None, dict[str, float]]:
        """(iterations begun, iterations in all if that can be told, the last losses seen)."""
        return self.iterations.done, self.iterations.total, dict(self._backward_calls.losses)

    def __enter__(self) -> Observation:
        return self.start(sys._getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(error, sys._getframe(1))

    def backward_begins(
        self, record: RawBackward, values: dict[str, Any], frame: FrameType
    ) -> None:
        """A backward that is not nested in another is about to run; `values` are its arguments."""
        if self._budget is not None:
            self._budget.backward_begins(record)
        self.snapshots.begin(record, values, frame)
        self.live_objects.note_losses(record, values)
        self._ledger.scalers.note(record, values)
        self._ledger.provenance.before_backward(record, frame)
        self.numbers.begins(record, values, frame)

    def backward_inspected(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Its graph was walked, before it runs; only a sample of backwards is inspected."""
        if not record.is_grad:
            self._growing.inspect(record, nodes, frame)
        self._reached_parameters.inspect(record, nodes, frame, self._table.tensor_index)
        self._ledger.provenance.inspect(record, nodes, frame)
        self._watchers.inspect(record, nodes, frame)
        self.live_objects.note_leaves(record, nodes)

    def backward_bypassed(
        self, record: RawBackward, values: dict[str, Any], nodes: list[Any]
    ) -> None:
        """It is about to use tensors that were written unseen by their version counters."""
        self._ledger.measure_harm(record, values, nodes)

    def backward_ended(self, record: RawBackward) -> None:
        """It has returned or raised."""
        self._ledger.provenance.after_backward(record)
        self._watchers.ended(record)
        if self._budget is not None:
            self._budget.backward_ended(record)

    def backward_refused(self, record: RawBackward, frame: FrameType) -> None:
        """It has raised, and the record says what is known of the reason."""
        self.snapshots.raised(record, frame)
        record.leads_to = self.live_objects.owned_behind(frame.f_locals, record.is_grad)

    def grad_returned(self, record: RawBackward, returned: Any) -> None:
        """A call of torch.autograd.grad has returned gradients."""
        self._ledger.provenance.grad_results.note(record, returned)

    def _write_refused(self, target: Any, by: str, frame: FrameType) -> None:
        """Note a write that autograd refused, while the frames can still name its target."""
        try:
            with Unnoticed():
                refused = refusal(target, self._tracer, self.iterations, self.files, by, frame)
            if refused is not None:
                self._log.events.append(refused)
        except Exception as error:
            self._own_error(error)

    def _own_error(self, error: Exception) -> None:
        """The observer must never break the program: its own exceptions become notices."""
        pass_on(error)
        text = message("observed.unseen.internal", error=type(error).__name__, text=str(error))
        self._notice(text)
        if os.environ.get("GRAPHLAB_DEBUG"):
            sys.__excepthook__(type(error), error, error.__traceback__)

    def keep_graphs(
        self,
        at: int | None = None,
        before: str | None = None,
        also: Callable[[Any, dict[str, Any]], Any] | None = None,
    ) -> None:
        """As `Snapshots.keep`: capture the graphs of the first iterations, or of one moment."""
        self.snapshots.keep(at, before, also)

    def keep_within(self, share: float) -> None:
        """Look less where watching takes more than that share of the program's own time. To be
        called before `start`."""
        looks = Together(self._backward_calls, self._ledger.registry)
        ways = looks, Together(self._tracer, self._module_calls)
        self._budget = Budget(share, self._log, self.iterations, ways)
        self._tracer.lock = self._budget.lock

    def keep_film(self, at: int | None = None, before: str | None = None) -> None:
        """Record every line, and graphs as `keep_graphs` does. To be called before `start`."""
        self.keep_graphs(at, before)
        self.snapshots.recorder = self._recorder = Recorder(
            self._log, self._tracer.seq, self._ledger.registry.tracked, self._table.tensor_index,
            self._own_error,
        )  # fmt: skip
        self._tracer.watch_lines(self._recorder.line)

    def build_film(self, snapshot: Snapshot | None, filmed: FilmedIteration) -> Film:
        """One pair of `snapshots.films()` as plain data."""
        registry = self._ledger.registry
        return build_film(filmed, snapshot, registry, self._trace_builder, self.files)

    def _notice(self, text: str) -> None:
        if text not in self._notices and len(self._notices) < 5:
            self._notices.append(text)

    def _notice_lost_sight(self) -> None:
        """Note that the trace function is gone: "nothing seen" would read as "nothing wrong"."""
        here = threading.get_ident() == self._tracer.thread
        if self._tracing and here and self._tracer.lost_sight():
            self._notice(message("observed.unseen.trace_taken"))

    def show_losses(self) -> None:
        """Read the losses' values for `progress`, at most twice a second each."""
        self._backward_calls.read_losses = True

    def leave_child(self) -> None:
        """Stop observing in a forked child; the parent goes on."""
        self._tracing = False
        self._suspend(sys._getframe(1))


def open_log() -> tuple[Log, Callable[[int], str]] | None:
    """(log, optimizer names by index) of the active observation; None if there is none."""
    if PROCESS.active is None:
        return None
    return PROCESS.active.snapshots.log, PROCESS.active.snapshots.optimizer_name
