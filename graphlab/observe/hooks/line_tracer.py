"""Notes which of the user's lines was running as autograd's nodes were made, thread by thread.

At each line a mark is noted: the thread's count of nodes, and the line. A node's `_sequence_nr()`
lies between two marks, which tells the line that made it, with no torch function patched. How the
lines are followed depends on the Python: `lines/monitoring.py` and `lines/settrace.py`.
"""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from threading import get_ident
from types import CodeType, FrameType
from typing import Any

from graphlab.language import message
from graphlab.observe.hooks.stack_depth import RecursionLimit
from graphlab.observe.hooks.unpatched_writes import UnpatchedWrites, suspicious
from graphlab.observe.iterations import Iterations
from graphlab.observe.marks import Marks
from graphlab.observe.notes import Log, Spot
from graphlab.observe.process_state import PROCESS
from graphlab.observe.tensors import Unnoticed, unnoticed
from graphlab.source.files import UserFiles, user_frame

Handler = Callable[[FrameType, str, Any], None]
# The events of a function that a handler may be called with.
EVENTS = ("call", "return", "exception")
Onlooker = Callable[[FrameType, bool], None]

# What `threading` has for a thread that it did not start. Private to Python.
_Dummy: Any = getattr(threading, "_DummyThread", ())
ELSEWHERE = message("observed.unseen.threads_before")


# How many lines may be waited for at once before those of ended frames are let go of.
PENDING = 8


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def code_of(function: Any) -> CodeType:
    """The code of the undecorated function: torch wraps some methods in one shared decorator."""
    return inspect.unwrap(function).__code__


def runs(code: CodeType, function: Any) -> bool:
    """Whether `code` is a function's own, or what stands for it while it is swapped."""
    own = code_of(function)
    return code is own or (
        code.co_firstlineno == own.co_firstlineno
        and code.co_name == own.co_name
        and code.co_filename == own.co_filename
    )


def sequence_counter() -> Callable[[], int] | None:
    """The function that reads this thread's count of autograd nodes, None where torch has none.
    Private to torch: `torch._C._autograd._get_sequence_nr`."""
    import torch

    return getattr(getattr(torch._C, "_autograd", None), "_get_sequence_nr", None)


def is_pythons(ident: int) -> bool:
    """Whether a thread was started by Python: not one of torch's, in which it calls hooks."""
    found = next((each for each in threading.enumerate() if each.ident == ident), None)
    return found is not None and not isinstance(found, _Dummy)


class Following:
    """What is noted of one thread: torch counts the nodes of each by itself."""

    __slots__ = (
        "activity", "calls", "dark", "events", "ident", "in_prelude", "last", "locals", "marks",
        "module_caller", "off_in_module", "paused", "pending", "quiet", "replays", "seq",
        "silenced", "stack", "trace", "tree", "tree_at", "tree_mark",
    )  # fmt: skip

    def __init__(self, ident: int, marks: Marks) -> None:
        self.ident = ident
        self.marks = marks
        # The marks of the noted calls that are running.
        self.stack: list[tuple[int, CodeType | None, int, int | None]] = [(0, None, 0, None)]
        # What a line may write with no patch to see it, until the next line of the same frame.
        self.pending: dict[FrameType, tuple[list[tuple[Any, int]], int]] = {}
        # How often torch was asked for something that is noted: a module's call, a backward.
        self.activity = 0
        # The count of nodes at the last line, and how many lines have run since the last node.
        self.seq = self.quiet = 0
        # Of modules/trees.py: the tree whose module is being called, the mark that began that call,
        # how many marks there were, and whether what is inside is told from what is known.
        self.tree: Any = None
        self.tree_mark: Any = None
        self.tree_at = 0
        self.replays = False
        # Of monitoring.py: the last line, as it is known there.
        self.last: Any = None
        # Of settrace.py: the trace function, its parts, and why it is off.
        self.trace: Any = None
        self.locals: dict[int, Callable[..., Any]] = {}
        self.calls: list[tuple[FrameType, int, int, int]] = []
        self.events = 0
        self.module_caller: FrameType | None = None
        self.paused = self.off_in_module = self.silenced = self.in_prelude = False
        self.dark: Any = None


class LineTracer(ABC):
    """Install with `start()`, remove with `stop()`.

    `guard` is called with the observer's own exceptions. `switches`: whether what follows the lines
    must be turned off where they do not matter.
    """

    switches = False
    # How many frames it needs on top of the program's.
    above = 0

    def __init__(
        self, log: Log, files: UserFiles, iterations: Iterations, guard: Callable[[Exception], None]
    ) -> None:
        self.log = log
        self.files = files
        self.iterations = iterations
        self.guard = guard
        # What is called at each event, by the identity of the code of torch's function that it is
        # registered for: a code computes its hash anew each time, from all of its constants.
        self.handlers: dict[int, dict[str, list[Handler]]] = {}
        self._codes_handled: list[CodeType] = []
        self.handled: list[Any] = []
        self._registered: dict[int, tuple[Any, dict[str, list[Handler]]]] = {}
        # Functions of torch that run in a record_function block (step_hooks.py), and the code of
        # nn.Module.__call__ while it is swapped (modules/calls.py).
        self.blocks: set[CodeType] = set()
        self.module_call_codes: set[CodeType] = set()
        counter = sequence_counter()
        self.seq = counter or (lambda: 0)
        # Without the counter it is not known which line made a node.
        log.no_counter = counter is None
        log.now = self.seq
        self.running = False
        # Whether lines are followed no more; handlers are called all the same.
        self.rests = False
        self.thread = threading.get_ident()
        # Held while a handler works: what it keeps is of all threads together.
        self.lock: AbstractContextManager[Any] = threading.RLock()
        # Whether torch was seen to run in a thread that is not followed.
        self.elsewhere = False
        self.followings: dict[int, Following] = {}
        self._lines = UnpatchedWrites(log)
        self.limit = RecursionLimit(0, 0)
        self.onlooker: Onlooker | None = None

    def handle(self, function: Any, handler: Handler, *events: str) -> None:
        """Call `handler(frame, event, value)` with "call" as `function` begins, "return" with what
        it returns, and "exception" with (type, error, traceback) as one leaves it: at those
        `events` alone, if some are given. To be called before `start`; a function without Python
        code has no such events."""
        function = inspect.unwrap(function)
        code = getattr(function, "__code__", None)
        if code is not None:
            none: dict[str, list[Handler]] = {each: [] for each in EVENTS}
            known = self._registered.setdefault(id(function), (function, none))[1]
            for event in events or EVENTS:
                known[event].append(handler)

    def drop(self, function: Any, handler: Handler) -> None:
        """Call a handler no more, and let the function be if it has no other."""
        function = inspect.unwrap(function)
        if id(function) in self._registered:
            handlers = self._registered[id(function)][1]
            for event in EVENTS:
                handlers[event] = [each for each in handlers[event] if each != handler]
            if self.running and function in self.handled and not any(handlers.values()):
                self.handled.remove(function)
                self.let_be(function)

    @abstractmethod
    def let_be(self, function: Any) -> None:
        """No handler asks for this function any more, which may be running."""

    def bind(self) -> None:
        """Note the codes of the functions that are handled, at each start: a session around this
        one may have swapped them while handlers were registered."""
        self.handlers.clear()
        bound = [each for each in self._registered.values() if any(each[1].values())]
        self.handled[:] = [function for function, _ in bound]
        self._codes_handled[:] = [function.__code__ for function in self.handled]
        for code, (_, handlers) in zip(self._codes_handled, bound, strict=True):
            self.handlers[id(code)] = handlers

    def call_handlers(self, code: CodeType, frame: FrameType, event: str, value: Any) -> None:
        """Call what is registered, unnoticed. An exception here would propagate into the user's
        program."""
        handlers = self.handlers[id(code)][event]
        if not handlers or (PROCESS.hidden and PROCESS.hidden == threading.get_ident()):
            return
        with self.lock, unnoticed():
            for handler in handlers:
                try:
                    handler(frame, event, value)
                except Exception as error:
                    self.guard(error)

    def here(self) -> Following:
        """The following of the thread that asks, made if it is new."""
        ident = get_ident()
        return self.followings.get(ident) or self.follow(ident)

    def follows_here(self) -> bool:
        """Whether the thread that asks is followed."""
        return self.running

    def follow(self, ident: int) -> Following:
        """Begin to follow a thread."""
        marks = self.log.begin_marks(ident, native=not is_pythons(ident))
        own = self.followings[ident] = Following(ident, marks)
        own.seq = self.seq()
        return own

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def begin_frames(self, frame: FrameType | None) -> None:
        """Follow the user's frames that were running already at the start."""

    @abstractmethod
    def stop(self, frame: FrameType | None) -> None:
        """Safe to call twice."""

    def pause(self) -> bool:
        """Stop following lines in a step(), whose hundreds of calls inside torch do not matter.
        Returns whether that is something to be undone."""
        return False

    @abstractmethod
    def resume(self) -> None:
        """End what `pause` began."""

    def silence(self, own: Following) -> bool:
        """Follow nothing while a handler works, whose own lines would cost as the program's do.
        Returns whether `go_on` has to undo that."""
        return False

    def go_on(self, own: Following, pause: bool) -> None:  # noqa: B027
        """Undo `silence`; with `pause`, leave that to `resume`."""

    def swapped(self, code: CodeType) -> None:  # noqa: B027
        """This code, which calls handlers by itself, stands for that of a function of torch's."""

    left_out: str = message("observed.budget.lines")

    @abstractmethod
    def rest(self) -> None:
        """Follow lines no more. Not to be called while a function that is handled begins."""

    @abstractmethod
    def step_aside(self) -> None:
        """Restore torch's functions until `step_back`. Both are safe to call twice."""

    @abstractmethod
    def step_back(self) -> None:
        """Undo `step_aside`."""

    @abstractmethod
    def wake(self, own: Following) -> None:
        """Follow every line again: something happened that is not yet known."""

    def lost_sight(self) -> bool:
        """Whether somebody else has taken the means of following lines away."""
        return self.running and self.blind(self.here())

    def blind(self, own: Following) -> bool:
        """The same of one thread, asked where nothing was silenced: its lines are not known."""
        return False

    def watch_lines(self, onlooker: Onlooker) -> None:
        """Call `onlooker(frame, False)` when a line of the user's begins, and `onlooker(caller,
        True)` when a call returns to one. To be called before `start`."""
        self.onlooker = onlooker

    def spot(self, frame: FrameType | None) -> Spot | None:
        """(code, offset) of the nearest user frame from `frame` outwards."""
        frame = user_frame(frame, self.files)
        return (frame.f_code, frame.f_lasti) if frame is not None else None

    def forget_line(self, own: Following) -> None:
        """From here on it is not known which line makes a node of this thread."""
        own.marks.append((self.seq(), None, 0, None))

    def last_spot(self) -> tuple[CodeType | None, int]:
        marks = self.here().marks
        return marks[-1][1:3] if marks else (None, 0)

    def write_begins(self, own: Following, frame: FrameType, line: int) -> None:
        """A line begins that may write to memory with no patch to see it."""
        try:
            with Unnoticed():
                values = self._lines.before(frame, line)
            if values:
                if len(own.pending) >= PENDING:
                    # Of frames that an exception has ended, which may tell nothing of that.
                    running = {*_outwards(frame)}
                    for each in [each for each in own.pending if each not in running]:
                        del own.pending[each]
                own.pending[frame] = (values, frame.f_lasti)
        except Exception as error:
            self.guard(error)

    def write_ended(self, own: Following, frame: FrameType) -> None:
        """The next line of a frame begins, or the frame ends."""
        held = own.pending.pop(frame, None)
        if held is not None:
            try:
                with Unnoticed():
                    self._lines.after(held[0], self.seq(), frame.f_code, held[1])
            except Exception as error:
                self.guard(error)

    def body_begins(self, code: CodeType, line: int, offset: int) -> None:
        """The first line of a loop's body begins."""
        self.iterations.begins(code, line, offset)
        self.here().marks.trim()

    @staticmethod
    def odd_lines(code: CodeType) -> Any:
        """The lines of a code's file that may write unseen."""
        return suspicious(code.co_filename)
