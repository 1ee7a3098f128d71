"""Follows calls of backward() and torch.autograd.grad(): caller, graph, and errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import get_ident
from types import FrameType
from typing import Any, Protocol

from graphlab.language import message
from graphlab.observe.failures.call import FailedCall
from graphlab.observe.failures.checkpoints import in_checkpoint
from graphlab.observe.failures.diagnosis import diagnose
from graphlab.observe.graph.carriers import carriers
from graphlab.observe.graph.saved import Inspector
from graphlab.observe.graph.traced import compiling
from graphlab.observe.graph.walk import added_up, sequence, sweep
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.hooks.write_patches import WritePatches
from graphlab.observe.iterations import Iterations
from graphlab.observe.lineage.loss import LossNames
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward, Spot
from graphlab.observe.price.sampling import sampled
from graphlab.observe.process_state import PROCESS
from graphlab.observe.refusals.mistakes import mistake_of
from graphlab.observe.refusals.outright import nodes_behind, refused_outright
from graphlab.observe.refusals.traceback import entries_of
from graphlab.observe.tensors import count_of, grad_fn_of, is_tensor, readable
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import locate
from graphlab.trace.model import FailedNode
from graphlab.trace.values import Twice

# The first calls at a line are inspected before they run.
FIRST = 6
# How many are inspected once more when a new optimizer has been built, and for how many of these.
AGAIN, AGAINS = 3, 8
# How often a line's next backward is inspected because this one reached other parameters, and how
# often one that had more or fewer operations behind it than as many before it had: the first ones,
# as of an epoch of a few batches, need no more than two alike.
CHANGES, ALIKE, SHORT = 16, 4, 8
# A graph larger than this is inspected only when its backward raises.
LARGE = 200_000
# How many backwards keep the exact list of nodes that they ran through.
REMEMBER = 16
_NONE: frozenset[Spot | None] = frozenset()


class BackwardListener(Protocol):
    """Whose methods are called as backwards run, except nested ones."""

    def backward_begins(
        self, record: RawBackward, values: dict[str, Any], frame: FrameType
    ) -> None: ...

    def backward_inspected(
        self, record: RawBackward, nodes: list[Any], frame: FrameType
    ) -> None: ...

    def backward_bypassed(
        self, record: RawBackward, values: dict[str, Any], nodes: list[Any]
    ) -> None: ...

    def backward_ended(self, record: RawBackward) -> None: ...

    def backward_refused(self, record: RawBackward, frame: FrameType) -> None: ...

    def grad_returned(self, record: RawBackward, returned: Any) -> None: ...


class Line:
    """What is known of the backwards of one line; others know more by it."""

    __slots__ = ("alike", "changed", "changes", "counts", "made", "reached", "seq", "turns")

    def __init__(self) -> None:
        # How many there were, by what had been written unseen since the one before.
        self.counts: dict[frozenset[Spot | None], int] = {}
        self.seq = -1
        # What the last one reached, how often that was new, and whether it just was.
        self.reached: tuple[int, ...] | None = None
        self.changes = 0
        self.changed = False
        # How many operations were recorded since the one before, how often that was so in a row,
        # and how often it then was another number.
        self.made, self.alike, self.turns = -1, 0, 0

    def turns_at(self, seq: int) -> bool:
        """Whether a settled line's backward has another number of operations behind it: a part of
        the network may have been frozen or thawed."""
        made = seq - self.seq
        if made == self.made:
            self.alike += 1
            return False
        least = ALIKE if self.turns >= SHORT else 1
        turned = self.alike >= least and self.turns < CHANGES
        self.turns += turned
        self.made, self.alike = made, 0
        return turned

    def reaches(self, parameters: tuple[int, ...]) -> None:
        if self.reached is not None and self.changes < CHANGES:
            self.changes += 1
            self.changed = True
        self.reached = parameters


class BackwardCalls:
    """Handles the tracer's events of torch.autograd.backward and grad. `guard` is called with
    exceptions of the observer's own."""

    def __init__(
        self,
        log: Log,
        tracer: LineTracer,
        write_patches: WritePatches,
        iterations: Iterations,
        files: UserFiles,
        listener: BackwardListener,
        guard: Callable[[Exception], None],
    ) -> None:
        import torch

        self._log = log
        self._tracer = tracer
        self._quiet = write_patches.quiet
        self._iterations = iterations
        self._files = files
        self._losses_named = LossNames(log, files)
        self._lines: dict[Spot | None, Line] = {}
        self._again, self._agains = 0, AGAINS
        self._rests = False
        # Of each thread: the backwards that are running, one inside the other.
        self._running: dict[int, list[RawBackward]] = {}
        self._remembered: list[RawBackward] = []
        # The first backward of each line whose saved tensors were not as they should be.
        self.troubled: dict[Spot | None, RawBackward] = {}
        # The last one of each line that was inspected.
        self._inspected: dict[Spot | None, RawBackward] = {}
        # What a backward inside another raised, until the outer one has ended.
        self._told: BaseException | None = None
        self.read_losses = False
        self.losses: dict[str, float] = {}
        self._read_at: dict[str, float] = {}
        self._listener, self._guard = listener, guard
        tracer.handle(torch.autograd.backward, partial(self._on_frame, False))
        tracer.handle(torch.autograd.grad, partial(self._on_frame, True))

    def _on_frame(self, is_grad: bool, frame: FrameType, event: str, arg: Any) -> None:
        ident = get_ident()
        quiet = self._quiet
        nested = ident in quiet
        quiet.add(ident)
        running = self._running.get(ident)
        if running is None:
            running = self._running[ident] = []
        try:
            if event == "call":
                self._begin(frame, is_grad, running)
            elif event == "exception":
                self._raised(frame, arg, running)
            elif event == "return" and running:
                self._end(arg, running)
        except Exception as error:
            self._guard(error)
        finally:
            if not nested:
                quiet.discard(ident)

    def _begin(self, frame: FrameType, is_grad: bool, running: list[RawBackward]) -> None:
        if PROCESS.gone:
            sweep()
        values = frame.f_locals
        user = user_frame(frame.f_back, self._files)
        called = self._losses_named.name(frame, is_grad, user)
        spot, call, loss, by_library = called
        iteration = self._iterations.of_backward(user)
        if iteration is None:
            iteration = self._iterations.of_library(by_library, user, called.written)
        create = bool(values.get("create_graph"))
        retain = values.get("retain_graph")
        keeps = create if retain is None else bool(retain)
        record = RawBackward(
            self._tracer.seq(), spot, call, loss, iteration, keeps, is_grad, bool(running)
        )
        self._log.events.append(record)
        running.append(record)
        line = self._lines.get(record.spot)
        if line is None:
            line = self._lines[record.spot] = Line()
        record.line = line
        if self._due(record, line):
            nodes = nodes_behind(values, is_grad)
            if len(nodes) <= LARGE:
                record.nodes = len(nodes)
                record.root, record.summed = _root_of(values, is_grad)
                self._inspected[record.spot] = record
                self._note_coverage(record, nodes)
                if not record.nested:
                    self._listener.backward_inspected(record, nodes, frame)
                if self._log.silent:
                    names = Names(self._files).gather(frame)
                    inspector = Inspector(self._log, names, record.spot)
                    record.problems = inspector.written(nodes, stale=False)
                    if record.problems and not record.nested:
                        self._listener.backward_bypassed(record, values, nodes)
                    if record.problems:
                        self.troubled.setdefault(record.spot, record)
        if not record.nested:
            if record.iteration is not None:
                self._iterations.advance(user, record.iteration)
            if self.read_losses:
                self._read_loss(record, values)
            self._listener.backward_begins(record, values, frame)

    def examples(self) -> list[RawBackward]:
        """Those that tell of their lines: the log may have let go of them."""
        return [*self.troubled.values(), *self._inspected.values()]

    def _read_loss(self, record: RawBackward, values: dict[str, Any]) -> None:
        """Reading a value synchronises the device: each loss is read twice a second at most."""
        now = time.monotonic()
        if now - self._read_at.get(record.loss, 0.0) > 0.5:
            self._read_at[record.loss] = now
            root: Any = values.get("tensors")
            room = record.loss in self.losses or len(self.losses) < 3
            if room and is_tensor(root) and count_of(root) == 1 and readable(root):
                self.losses[record.loss] = float(root.detach())

    def _end(self, returned: Any, running: list[RawBackward]) -> None:
        record = running.pop()
        if not running:
            self._told = None
        record.completed = record.raised_type is None
        if record.is_grad and returned is not None:
            self._listener.grad_returned(record, returned)
        if not record.nested:
            self._listener.backward_ended(record)
            if record.line.reached is not record.reached:
                record.line.reaches(record.reached)

    def _raised(self, frame: FrameType, arg: Any, running: list[RawBackward]) -> None:
        record = running[-1] if running else None
        if record is None or record.raised_type is not None:
            return
        record.raised_type = arg[0].__name__
        if not issubclass(arg[0], Exception) or arg[1] is self._told:
            # Ctrl-C; or what the backward inside this one raised, which has been told.
            return
        names = Names(self._files).gather(frame)
        values = frame.f_locals
        if not in_checkpoint(frame):
            outright = refused_outright(
                values,
                record.is_grad,
                record.loss,
                frame.f_back,
                self._files,
                log=self._log,
                within=frame,
            )
            if outright is not None:
                record.trouble, record.cut = outright.trouble, outright.cut
                record.node = FailedNode("", None, why=outright.why) if outright.why else None
                record.subject = outright.info(
                    names, record.loss, locate(*record.spot) if record.spot is not None else None
                )
                self._refused(record, frame, arg[1])
                return
        nodes = nodes_behind(values, record.is_grad)
        compiled = self._files if compiling(frame.f_back, self._files) else None
        inspector = Inspector(self._log, names, record.spot, compiled)
        stale = inspector.written(nodes)
        freed = inspector.freed(nodes)
        # The autograd engine runs the latest node first, so the later problem is the one it met.
        if freed and (not stale or freed[0].seq > stale[0].seq) and self._met(arg[1]):
            record.problems = freed
        elif stale:
            record.problems = stale
        elif not in_checkpoint(frame):
            self._failed(record, frame, arg, nodes, names)
        for problem in record.problems:
            # Events come before the backward that they concern.
            if problem.write is not None and problem.write.at is not None:
                self._log.insert(problem.write, before=record)
        if record.problems:
            by = record.problems[0].freed_by
            root, summed = _root_of(values, record.is_grad)
            record.twice = _twice(by, root, summed, nodes) if by else ""
            self.troubled.setdefault(record.spot, record)
            record.carriers = carriers(frame, self._files, record.problems[0].seq)
        if record.problems or record.trouble is not None:
            self._refused(record, frame, arg[1])

    def _met(self, error: BaseException) -> bool:
        """Whether `error` is about what an earlier backward had freed. In one thread it is: only
        what was made before that one is. Threads count their nodes each from 0, so what this
        backward has freed as it ran looks as if another's had."""
        return not self._log.several or mistake_of(error) == "freed"

    def _failed(
        self, record: RawBackward, frame: FrameType, arg: Any, nodes: list[Any], names: Names
    ) -> None:
        """It failed as it ran, over no tensor that autograd knows to be written or freed."""
        call = FailedCall(
            error=arg[1],
            entries=entries_of(arg[2]),
            values=frame.f_locals,
            nodes=nodes,
            keeps=record.retain_graph,
            is_grad=record.is_grad,
            caller=user_frame(frame.f_back, self._files),
            names=names,
            files=self._files,
            log=self._log,
            spot=record.spot,
        )
        failure = diagnose(call)
        # What was written unseen may be what it failed at.
        inspector = Inspector(self._log, names, record.spot)
        record.problems = inspector.written(nodes, stale=False) or record.problems
        if record.problems and failure.trouble == "failed" and failure.cut is None:
            mine = [each for each in call.possible if inspector.written([each], stale=False)]
            if len(call.possible) == 1 and mine:
                record.problems = inspector.written(mine, stale=False)
                return
        if failure.trouble == "failed" and mistake_of(arg[1]) == "freed":
            record.problems = inspector.gone(nodes) or record.problems
            return
        record.trouble, record.node = failure.trouble, failure.node
        record.cut, record.subject = failure.cut, failure.subject

    def _refused(self, record: RawBackward, frame: FrameType, error: BaseException) -> None:
        self._told = error if record.nested else None
        self._listener.backward_refused(record, frame)

    def _due(self, record: RawBackward, line: Line) -> bool:
        silent, writers = self._log.silent, _NONE
        if silent:
            writers = frozenset(spot for spot, seq in silent.items() if seq >= line.seq)
        turned = line.turns_at(record.seq)
        line.seq = record.seq
        count = line.counts[writers] = line.counts.get(writers, 0) + 1
        changed, line.changed = line.changed, False
        if count <= FIRST or ((changed or turned or sampled(count)) and not self._rests):
            return True
        self._again = max(self._again - 1, -1)
        return self._again >= 0

    left_out: str = message("observed.budget.graphs")

    def rest(self) -> None:
        """Inspect no more than the first graphs of each line."""
        self._rests = True

    def look_again(self) -> None:
        """Inspect some of the next backwards: with a new optimizer, another training begins, maybe
        of another model, at lines that were inspected in the one before."""
        if self._lines and self._agains > 0:
            self._agains -= 1
            self._again = AGAIN

    def _note_coverage(self, record: RawBackward, nodes: list[Any]) -> None:
        record.covered = frozenset(sequence(node) for node in nodes)
        self._remembered.append(record)
        if len(self._remembered) > REMEMBER:
            self._remembered.pop(0).covered = None
        if record.spot is None:
            return
        lines = self._log.reach.setdefault(record.spot, set())
        for seq in record.covered:
            mark = self._log.mark_of(seq)
            if mark is not None and mark.code is not None:
                lines.add((mark.code, mark.offset))


def _root_of(values: dict[str, Any], is_grad: bool) -> tuple[int, tuple[int, ...]]:
    """The sequence number of the one node that a backward begins at, and of those that it adds up;
    -1 if it is not known."""
    root: Any = values.get("outputs" if is_grad else "tensors")
    # torch puts it into a tuple as it goes on.
    if type(root) is tuple and len(root) == 1:
        root = root[0]
    node = grad_fn_of(root) if is_tensor(root) else None
    return (sequence(node), added_up(node)) if node is not None else (-1, ())


def _twice(by: RawBackward, root: int, summed: tuple[int, ...], nodes: list[Any]) -> Twice:
    """What the loss that began at `root`, with this graph, is to that of the backward `by`. The sum
    in `(a + b).backward()` is a new one each time."""
    if root < 0 or by.root < 0:
        return ""
    if root == by.root or (summed and summed == by.summed):
        return "same"
    if by.root in map(sequence, nodes):
        return "whole"
    return "part" if by.covered is not None and root in by.covered else ""
