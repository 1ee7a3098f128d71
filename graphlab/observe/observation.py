"""Observes whatever runs while it is open, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import torch

from graphlab.observe.backward_calls import Backwards
from graphlab.observe.build_trace import Assembler
from graphlab.observe.film.build_film import develop
from graphlab.observe.film.recorder import Camera, Take
from graphlab.observe.film.snapshots import Snapshot, Snapshots
from graphlab.observe.graph.kept import Growth
from graphlab.observe.hooks.line_tracer import Tracer
from graphlab.observe.hooks.module_calls import Modules
from graphlab.observe.hooks.stack_depth import Depth
from graphlab.observe.hooks.stand_aside import Compiling
from graphlab.observe.hooks.thread_errors import ThreadErrors
from graphlab.observe.hooks.weak_references import HiddenReferences
from graphlab.observe.hooks.write_patches import Writers
from graphlab.observe.iterations import Loops
from graphlab.observe.live_objects import Live, TensorTable
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward
from graphlab.observe.optimizers.ledger import Optimizers
from graphlab.observe.optimizers.unowned import Reached
from graphlab.observe.postmortem.unseen import Unseen
from graphlab.observe.program_end import strip_own_frames
from graphlab.observe.refusals.writes import refusal
from graphlab.observe.tensors import Unnoticed
from graphlab.source.files import UserFiles
from graphlab.trace.film import Film
from graphlab.trace.merge import joined
from graphlab.trace.model import Trace

_active: Observation | None = None


ELSEWHERE = "some of the program ran in other threads, whose lines and backwards are not followed"


TORCH = os.path.dirname(torch.__file__) + os.sep


COMPILED = (
    "inside a region that torch.compile compiled, lines are not told apart, and in-place writes "
    "have no writer"
)


class Observation:
    """One observation. Use as a context manager; `trace` is there once the block has ended.

    Exceptions pass through unchanged. One session observes at a time: while another is open inside
    it, a session waits, and then takes over what that one saw; one that `gives_way` ends.

    Raises:
        RuntimeError: on entering one that is open already.
    """

    def __init__(
        self, target: str = "<session>", targets: tuple[str, ...] = (), gives_way: bool = False
    ) -> None:
        self.gives_way = gives_way
        files = UserFiles(targets)
        self._files = files
        self._log = log = Log()
        self._loops = loops = Loops()
        self._tracer = tracer = Tracer(log, files, loops, self._own_error)
        self._modules = Modules(log, tracer, files)
        self._table = table = TensorTable()
        self._assembler = Assembler(log, files, target, table)
        self._writers = writers = Writers(log, tracer, self._write_refused)
        self._backwards = Backwards(log, tracer, writers, loops, files, self, self._own_error)
        self._optimizers = optimizers = Optimizers(
            log, tracer, writers, loops, files, table.tensor_index, self._own_error
        )
        self.live = Live(table, optimizers.holders)
        self._growth = Growth(files)
        self._reached = Reached(log, files)
        self._notices: list[str] = []
        self.snapshots = Snapshots(log, files, loops, target, optimizers.holders.name_of)
        self._camera: Camera | None = None
        self._trace: Trace | None = None
        self._tracing: Any = None
        self._depth: Depth | None = None
        # The session around this one, and what those inside it have seen.
        self._outer: Observation | None = None
        self._told: list[Trace] = []
        self._unseen = Unseen(log, loops, files, target, targets)
        self._threads = ThreadErrors(self._thread_ended)
        self._references = HiddenReferences()
        self._aside = Compiling(self._step_aside, self._step_back)

    @property
    def open(self) -> bool:
        """Whether it observes now, or waits for one inside it."""
        return self._depth is not None and self._trace is None

    @property
    def over(self) -> bool:
        return self._trace is not None

    @property
    def trace(self) -> Trace:
        """What was observed. While the session is open, what has been observed so far."""
        if self._trace is None:
            self._notice_lost_sight()
            with Unnoticed():
                return self._build(None)
        return self._trace

    def start(self, frame: FrameType | None = None, below: int = 0) -> Observation:
        """Begin to observe. `frame` and its callers are traced as well as what they call. `below`
        is how many frames of graphlab's the program's first frame will stand on."""
        global _active
        if _active is not None and _active.gives_way:
            _active.stop()
        outer = _active
        while outer is not None:
            if outer is self:
                raise RuntimeError("this graphlab session is already open")
            outer = outer._outer
        self._outer, _active = _active, self
        if self._outer is not None:
            self._outer._suspend(frame or sys._getframe(1))
        self._depth = Depth(below)
        try:
            self._resume(frame or sys._getframe(1))
        except BaseException:
            self.stop(None)
            raise
        return self

    def _resume(self, frame: FrameType | None) -> None:
        """Put the observers in place."""
        self._writers.start()
        self._modules.start()
        self._optimizers.steps.start()
        self._threads.start()
        self._references.start()
        self._tracer.start()
        self._tracing = sys.gettrace()
        self._tracer.begin_frames(frame)
        if self._depth is not None:
            self._depth.start()
        self._aside.start()

    def _suspend(self, frame: FrameType | None) -> None:
        """Take them away. Safe to call twice."""
        self._notice_lost_sight()
        self._tracing = None
        self._aside.stop()
        if self._depth is not None:
            self._depth.stop()
        self._tracer.stop(frame)
        self._references.stop()
        self._threads.stop()
        self._optimizers.steps.stop()
        self._modules.stop()
        self._writers.stop()

    def stop(self, error: BaseException | None = None, frame: FrameType | None = None) -> None:
        """Remove every hook and build the trace. Safe to call twice."""
        global _active
        frame = frame or sys._getframe(1)
        # Where the stack runs out, Python itself lets go of the trace function: the program has
        # ended by that, and nothing ran unseen.
        if isinstance(error, RecursionError):
            self._tracing = None
        if self._camera is not None and self._trace is None:
            self._camera.stop(raised=isinstance(error, Exception))
        self._suspend(frame)
        try:
            if self._trace is None:
                strip_own_frames(error)
                with Unnoticed():
                    self._look_for_unseen(error)
                    self._trace = self._build(error)
        finally:
            if _active is self:
                _active = self._outer
                if _active is not None:
                    _active._takes_over(self._trace, frame)

    def _takes_over(self, told: Trace | None, frame: FrameType | None) -> None:
        """The session inside this one is over, and has seen `told`."""
        if told is not None:
            self._told.append(told)
        self._resume(frame)

    def _step_aside(self) -> None:
        """torch reads the program or is being imported: it finds everything as it is unwatched."""
        self._writers.take_out()
        self._modules.step_aside()
        if self._depth is not None:
            self._depth.take_out()

    def _step_back(self, guarded: bool) -> None:
        self._writers.put_in(guarded)
        self._modules.step_back()
        if self._depth is not None:
            self._depth.put_in()

    def _look_for_unseen(self, error: BaseException | None) -> None:
        try:
            if error is not None:
                names = Names(self._files).gather_frames(_frames_of(error))
                self._optimizers.holders.name_by(names)
            self._unseen.look(error)
        except Exception as own:
            self._own_error(own)

    def _thread_ended(self, error: BaseException) -> None:
        """Another thread of the program ended with `error`: of interest where it came out of torch,
        since a training there is not followed."""
        try:
            if not any(frame.f_code.co_filename.startswith(TORCH) for frame in _frames_of(error)):
                return
            self._notice(
                f"a thread of the program ended with {type(error).__name__}; what ran in it was "
                "not followed"
            )
            with Unnoticed():
                self._unseen.infer(error)
        except Exception as own:
            self._own_error(own)

    def _build(self, error: BaseException | None) -> Trace:
        trace = self._assemble(error)
        for told in (*self._told, *self._unseen.inferred):
            trace = joined(trace, told)
        return trace

    def _assemble(self, error: BaseException | None) -> Trace:
        return self._assembler.build(
            self._optimizers.holders,
            self._backwards,
            self._reached,
            self._growth,
            [*self._optimizers.provenance.wasteful.values()],
            error,
            [
                *([COMPILED] if self._aside.seen else []),
                *([ELSEWHERE] if self._elsewhere() else []),
                *self._notices,
            ],
        )

    def _elsewhere(self) -> bool:
        """Whether other threads were at work, beyond steps whose optimizers are named anyway."""
        named = any(state.elsewhere for state in self._optimizers.holders.states)
        return self._tracer.elsewhere and not named

    def progress(self) -> tuple[int, int | None, dict[str, float]]:
        """(iterations begun, iterations in all if that can be told, the last losses seen)."""
        return self._loops.done, self._loops.total, dict(self._backwards.losses)

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
        """A backward, of those inside no other, is about to run; `values` are its arguments."""
        self.snapshots.begin(record, values, frame)
        self.live.note_losses(record, frame)
        self._optimizers.provenance.before_backward(record, frame)

    def backward_inspected(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Its graph is one of those that are looked at."""
        if not record.is_grad:
            self._growth.look(record, nodes, frame)
        self._reached.look(record, nodes, frame, self._table.tensor_index)
        self._optimizers.provenance.look(record, nodes, frame)
        self.live.note_leaves(record, nodes)

    def backward_ended(self, record: RawBackward) -> None:
        """It is over, by an exception or without."""
        self._optimizers.provenance.after_backward(record)

    def backward_refused(self, record: RawBackward, frame: FrameType) -> None:
        """It has raised, and the record says why."""
        self.snapshots.raised(record, frame)

    def grad_returned(self, record: RawBackward, returned: Any) -> None:
        """A call of torch.autograd.grad has returned gradients."""
        self._optimizers.provenance.handed.note(record, returned)

    def _write_refused(self, target: Any, by: str, frame: FrameType) -> None:
        """Note a write that autograd forbids: what it was for, while its frames can name it."""
        try:
            with Unnoticed():
                refused = refusal(target, self._tracer, self._loops, self._files, by, frame)
            if refused is not None:
                self._log.events.append(refused)
        except Exception as error:
            self._own_error(error)

    def _own_error(self, error: Exception) -> None:
        """The observer must never break what it observes: its own failures become notices."""
        self._notice(f"internal error in the observer: {type(error).__name__}: {error}")
        if os.environ.get("GRAPHLAB_DEBUG"):
            import traceback

            traceback.print_exception(error)

    def keep_graphs(
        self,
        at: int | None = None,
        before: str | None = None,
        also: Callable[[Any, dict[str, Any]], Any] | None = None,
    ) -> None:
        """Take the graphs of the first iterations, or of one moment, into `snapshots`. `also` is
        given the loss and the named parameters at each, for another tool's view of them."""
        self.snapshots.keep(at, before, also)

    def keep_film(self, at: int | None = None, before: str | None = None) -> None:
        """Film the run, and take the graphs that go with it, as `keep_graphs` does. Call it before
        the session begins."""
        self.keep_graphs(at, before)
        tracer, optimizers = self._tracer, self._optimizers.holders
        self.snapshots.camera = self._camera = Camera(
            self._log,
            tracer.seq,
            optimizers.tracked,
            self._table.tensor_index,
            self._own_error,
        )
        tracer.watch_lines(self._camera.line)

    def develop(self, snapshot: Snapshot | None, take: Take) -> Film:
        """One of `films` as plain data."""
        optimizers = self._optimizers.holders
        names = [optimizers.name_of(at) for at in range(len(optimizers.states))]
        return develop(take, snapshot, names, self._assembler, self._files)

    def _notice(self, text: str) -> None:
        if text not in self._notices and len(self._notices) < 5:
            self._notices.append(text)

    def _notice_lost_sight(self) -> None:
        """A debugger's `continue` takes the trace function away, and so does a RecursionError; a
        session that sees nothing any more must not look like one that found nothing."""
        here = threading.get_ident() == self._tracer.thread
        away = self._optimizers.steps.depth or self._tracer.hushed
        if self._tracing is None or not here or away:
            return
        if sys.gettrace() is not self._tracing:
            self._notice(
                "Python's trace function was taken away, as by a debugger or a RecursionError: "
                "what ran after that was not seen"
            )

    def show_losses(self) -> None:
        """Read the losses' values now and then, for `progress`."""
        self._backwards.read_losses = True

    def leave_child(self) -> None:
        """In a forked worker: its parent is observed, it is not."""
        self._tracing = None
        self._suspend(sys._getframe(1))


def _forked() -> None:
    global _active
    if _active is not None:
        _active.leave_child()
        _active = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def open_log() -> tuple[Log, Callable[[int], str]] | None:
    """The open session's log, and the names of the optimizers in it; None without a session."""
    if _active is None:
        return None
    return _active.snapshots.log, _active.snapshots.stepper


def _frames_of(error: BaseException | None) -> list[FrameType]:
    """The frames that an exception went through, innermost first."""
    found = []
    step = error.__traceback__ if error is not None else None
    while step is not None:
        found.append(step.tb_frame)
        step = step.tb_next
    return found[::-1]
