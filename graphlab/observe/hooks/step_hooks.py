"""Installs the hooks around `Optimizer.step()`: which step runs, in which thread, how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Protocol

from graphlab.observe.hooks.closures import ClosureCalls, outside
from graphlab.observe.hooks.line_tracer import LineTracer, code_of
from graphlab.observe.hooks.write_patches import WritePatches
from graphlab.observe.notes import RawStep
from graphlab.observe.tensors import Unnoticed, unnoticed


class ActiveStep:
    """A step() that is running; steps nest where one optimizer wraps another."""

    # Whether another optimizer's step() is running around it.
    inner = False
    # Set only where it is seen when the closure returns.
    in_closure = False
    # How often the closure has returned.
    calls = 0
    step: RawStep | None = None
    # What the listener knows of the optimizer, and the parameters that it began with.
    state: Any = None
    parameters: list[Any]
    handed_on = False
    copies: Any = None
    # Its own parameters' values, if it has no new gradient.
    idle: Any = None
    versions: Sequence[int] = ()
    # The gradients that it applies, each with its version.
    grads: Sequence[tuple[Any, int]] = ()

    def __init__(self, optimizer: Any, closure: Any, frame: FrameType) -> None:
        self.optimizer, self.closure = optimizer, closure
        # While its closure is running, the program's own code is.
        self.quiet = closure is None
        # `id()` of the frame of torch's wrapper around step(), whose block is left on an exception.
        self.frame = id(frame)


class StepListener(Protocol):
    """Whose methods are called as steps begin and end."""

    def step_begins(self, active: ActiveStep, frame: FrameType) -> None: ...

    def closure_begins(self, active: ActiveStep) -> None:
        """Not the first call: what the step has written so far is seen by it."""

    def closure_ended(self, active: ActiveStep, frame: FrameType) -> None:
        """The gradients that the step applies are there; `frame` is that of torch's wrapper."""

    def step_ended(self, active: ActiveStep) -> None: ...

    def stepped_elsewhere(self, optimizer: Any) -> None:
        """A step ran in a thread that is not followed."""


class StepHooks:
    def __init__(
        self,
        tracer: LineTracer,
        write_patches: WritePatches,
        listener: StepListener,
        guard: Callable[[Exception], None],
    ) -> None:
        self._tracer, self._write_patches = tracer, write_patches
        self._listener, self._guard = listener, guard
        # Of each thread, one inside the other.
        self._running: dict[int, list[ActiveStep]] = {}
        self._handles: list[Any] = []
        self._closures = ClosureCalls(self._closure_enters, self._closure_left)
        self._undo: Callable[[], None] = _nothing
        tracer.blocks.update(_blocks())

    @property
    def depth(self) -> int:
        """How many steps are running in this thread, one inside the other."""
        return len(self._running.get(get_ident(), ()))

    @property
    def stepping(self) -> bool:
        """Whether an optimizer may be running in this thread, and not just its closure for the
        first time: what an earlier call has computed, the step has used."""
        running = self._running.get(get_ident(), ())
        return not all(each.in_closure and not each.calls for each in running)

    def start(self) -> None:
        import torch
        from torch.optim.optimizer import (
            register_optimizer_step_post_hook,
            register_optimizer_step_pre_hook,
        )

        self._handles = [
            register_optimizer_step_pre_hook(self._pre),
            register_optimizer_step_post_hook(self._post),
        ]

        # A step that raises skips its post hook, but leaves its record_function block.
        block: Any = torch.autograd.profiler.record_function
        leave, follows_here = block.__exit__, self._tracer.follows_here
        # What a block has paused, where something was.
        switches, quiet = self._tracer.switches, self._write_patches.quiet

        def on_exit(this: Any, kind: Any, value: Any, traceback: Any) -> Any:
            result = leave(this, kind, value, traceback)
            if (switches or get_ident() in quiet) and follows_here():
                self._left(kind, sys._getframe(1))
            return result

        block.__exit__ = on_exit
        self._closures.start()

        def undo() -> None:
            if block.__exit__ is on_exit:
                block.__exit__ = leave

        self._undo = undo

    def stop(self) -> None:
        self._undo()
        self._closures.stop()
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._running.clear()

    def _pre(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if not self._tracer.follows_here():
            self._tracer.elsewhere = True
            try:
                self._listener.stepped_elsewhere(optimizer)
            except Exception as error:
                self._guard(error)
            return
        self._tracer.wake(self._tracer.here())
        closure = None
        if len(args) > 1 or kwargs:
            given = (*args[1:], *kwargs.values())
            closure = next((each for each in given if each is not None), None)
        frame = sys._getframe(1)
        active = ActiveStep(optimizer, closure, frame)
        ident = get_ident()
        running = self._running.get(ident)
        if running is None:
            running = self._running[ident] = []
        again = False
        if running:
            active.inner = True
            # A subclass's step() that calls its parent's is one step, not two.
            again = any(each.optimizer is optimizer for each in running)
        running.append(active)
        self._quiet(running)
        try:
            if not again:
                with self._tracer.lock, unnoticed():
                    self._listener.step_begins(active, frame)
        except Exception as error:
            self._guard(error)

    def _quiet(self, running: Sequence[ActiveStep]) -> None:
        """Pause the tracer and the write patches while a step is running, but not its closure."""
        for each in running:
            if each.quiet:
                self._write_patches.hush()
                self._tracer.pause()
                return
        self._write_patches.unhush()
        self._tracer.resume()

    def _closure_enters(self, frame: FrameType) -> None:
        for active, _ in self._calling(frame):
            active.in_closure = True
            if active.quiet:
                active.quiet = False
                try:
                    with self._tracer.lock, Unnoticed():
                        self._listener.closure_begins(active)
                except Exception as error:
                    self._guard(error)
                self._quiet(self._running[get_ident()])

    def _closure_left(self, frame: FrameType) -> None:
        for active, wrapper in self._calling(frame):
            active.quiet, active.in_closure = True, False
            active.calls += 1
            try:
                if active.step is not None:
                    with self._tracer.lock, Unnoticed():
                        self._listener.closure_ended(active, wrapper)
            except Exception as error:
                self._guard(error)
            self._quiet(self._running[get_ident()])

    def _calling(self, frame: FrameType) -> list[tuple[ActiveStep, FrameType]]:
        """The running steps whose closure is called from `frame`, each with the frame of torch's
        wrapper: several where one optimizer hands its closure on to another."""
        running = self._running.get(get_ident())
        if not running:
            return []
        closure = running[-1].closure
        found = []
        for active in reversed(running):
            if closure is None or active.closure is not closure:
                break
            wrapper = outside(frame, closure, active.frame)
            if wrapper is None:
                break
            found.append((active, wrapper))
        return found

    def _left(self, kind: Any, frame: FrameType) -> None:
        """A record_function block of `frame` was left, by an exception of type `kind` or None. It
        may be one of the program's own, inside a closure or the step."""
        running = self._running.get(get_ident(), ())
        if kind is not None and running and running[-1].frame == id(frame):
            self._running[get_ident()].pop()
        self._quiet(running)

    def _post(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        running = self._running.get(get_ident())
        if not running:
            return
        try:
            with self._tracer.lock, unnoticed():
                self._listener.step_ended(running.pop())
        except Exception as error:
            self._guard(error)


# Private to torch: Dynamo does not trace into functions that are marked so.
for _hook in (StepHooks._pre, StepHooks._post):
    _hook._torchdynamo_disable = True  # pyright: ignore[reportFunctionMemberAccess]


def _blocks() -> Iterator[CodeType]:
    """The functions whose whole body is a record_function block: the wrapper that every
    optimizer class has around step(), and zero_grad. Private: `Optimizer.profile_hook_step`."""
    from torch.optim import Optimizer

    wrap = getattr(Optimizer, "profile_hook_step", None)
    if wrap is not None:
        yield wrap(lambda self: None).__code__
    if "record_function" in code_of(Optimizer.zero_grad).co_names:
        yield code_of(Optimizer.zero_grad)


def _nothing(*args: Any) -> None:
    """Before the start."""
