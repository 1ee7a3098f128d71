"""Notes which of the user's lines was running as autograd's nodes were made (`sys.settrace`).

At each line a mark is noted: the thread's count of nodes, and the line. A node's `_sequence_nr()`
lies between two marks, which tells the line that made it, with no torch function patched. Calls of
torch that matter (backward, zero_grad) are recognised by their code object; module calls are noted
by module_calls.py.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.hooks.unpatched_writes import UnpatchedWrites, suspicious
from graphlab.observe.iterations import Iterations
from graphlab.observe.notes import Log, Spot
from graphlab.observe.tensors import Unnoticed
from graphlab.source.files import UserFiles, user_frame


def code_of(function: Any) -> CodeType:
    """The code of the undecorated function: torch wraps some methods in one shared decorator."""
    return inspect.unwrap(function).__code__


Handler = Callable[[FrameType, str, Any], None]

_EVENTS = ("call", "line", "return", "exception", "opcode")
_IS_LINE, _IS_RETURN = ({name: name == one for name in _EVENTS} for one in ("line", "return"))
ELSEWHERE = "some of the program ran in other threads, whose lines and backwards are not followed"

_OTHER, _USER, _SPECIAL, _BLOCK, _MODULE_CALL = range(5)


def sequence_counter() -> Callable[[], int] | None:
    """The function that reads this thread's count of autograd nodes, None where torch has none.
    Private to torch: `torch._C._autograd._get_sequence_nr`."""
    import torch

    return getattr(getattr(torch._C, "_autograd", None), "_get_sequence_nr", None)


class LineTracer:
    """Install with `start()`, remove with `stop()`; `pause()` and `resume()` surround a step().

    `guard` is called with the observer's own exceptions.
    """

    def __init__(
        self, log: Log, files: UserFiles, iterations: Iterations, guard: Callable[[Exception], None]
    ) -> None:
        self.log = log
        self.files = files
        self.handlers: dict[CodeType, Handler] = {}
        self._iterations = iterations
        # Functions of torch that run in a record_function block: the tracer is paused in them, and
        # resumed when the block ends (step_hooks.py).
        self.blocks: set[CodeType] = set()
        # The code of nn.Module.__call__ while it is swapped, and the frame that called it last
        # (module_calls.py).
        self.module_call_codes: set[CodeType] = set()
        self.module_caller: FrameType | None = None
        self._codes: dict[CodeType, int] = {}
        self._locals: dict[CodeType, Callable[..., Any]] = {}
        # The noted calls that are running: (code, offset) of the user's line, and the module.
        self.stack: list[tuple[CodeType | None, int, int | None]] = [(None, 0, None)]
        counter = sequence_counter()
        self.seq = counter or (lambda: 0)
        # Without the counter it is not known which line made a node.
        log.no_counter = counter is None
        self._lines = UnpatchedWrites(log)
        self._pending: dict[FrameType, tuple[list[tuple[Any, int]], int]] = {}
        self._before: Any = None
        # The `f_trace` that frames had before, such as a debugger's.
        self._kept: dict[FrameType, Any] = {}
        self.guard = guard
        self._onlooker: Callable[[FrameType, bool], None] | None = None
        self.running = False
        self._paused = False
        # Whether it is off because a module of torch's own is running (module_calls.py).
        self.off_in_module = False
        self.thread = threading.get_ident()
        # Whether torch was seen to run in another thread.
        self.elsewhere = False
        self.trace = self._make_global()

    def start(self) -> None:
        self._before = sys.gettrace()
        self.running = True
        sys.settrace(self.trace)

    def watch_lines(self, onlooker: Callable[[FrameType, bool], None]) -> None:
        """Call `onlooker(frame, False)` when a line of the user's begins, and `onlooker(caller,
        True)` when a call returns to one. To be called before `start`."""
        self._onlooker = onlooker

    def begin_frames(self, frame: FrameType | None) -> None:
        """Trace the user's frames that were running already at the start."""
        while frame is not None:
            if frame.f_code.co_filename in self.files:
                self._kept[frame] = frame.f_trace
                frame.f_trace = self._local_for(frame.f_code)
            frame = frame.f_back

    def stop(self, frame: FrameType | None) -> None:
        self.running = False
        self._pending.clear()
        # The swapped code object refers to this tracer, and the garbage collector does not look
        # into code objects: the cycle is broken here.
        self._codes.clear()
        self.module_call_codes.clear()
        self.module_caller = None
        if sys.gettrace() is self.trace or self._paused or self.off_in_module:
            sys.settrace(self._before)
        while frame is not None:
            if frame.f_trace is not None and frame.f_trace is self._locals.get(frame.f_code):
                frame.f_trace = self._kept.get(frame)
            frame = frame.f_back
        self._kept.clear()

    def pause(self) -> None:
        """Stop tracing in a step(), whose hundreds of calls inside torch do not matter."""
        if sys.gettrace() is self.trace:
            sys.settrace(None)
            self._paused = True

    def resume(self) -> None:
        if self._paused and threading.get_ident() == self.thread:
            self._paused = False
            if self.running and sys.gettrace() is None:
                sys.settrace(self.trace)

    def _handle(self, handler: Handler, frame: FrameType, event: str, arg: Any) -> None:
        """Call a handler. An exception here would propagate into the user's program."""
        try:
            handler(frame, event, arg)
        except Exception as error:
            self.guard(error)

    def spot(self, frame: FrameType | None) -> Spot | None:
        """(code, offset) of the nearest user frame from `frame` outwards."""
        files = self.files
        while frame is not None:
            if frame.f_code.co_filename in files:
                return frame.f_code, frame.f_lasti
            frame = frame.f_back
        return None

    def last_spot(self) -> tuple[CodeType | None, int]:
        marks = self.log.marks
        return marks[-1][1:3] if marks else (None, 0)

    def _classify(self, code: CodeType) -> int:
        if code.co_filename in self.files:
            kind = _USER
        elif code in self.handlers:
            kind = _SPECIAL
        elif code in self.blocks:
            kind = _BLOCK
        elif code in self.module_call_codes:
            kind = _MODULE_CALL
        else:
            kind = _OTHER
        self._codes[code] = kind
        return kind

    def _make_global(self) -> Callable[..., Any]:
        codes, seq, marks = self._codes, self.seq, self.log.marks
        stack, handlers = self.stack, self.handlers
        returning, local_for = self._make_returning(), self._local_for
        pause, blocks, settrace = self.pause, self.blocks, sys.settrace
        locals_of = self._locals.get

        def on_call(frame: FrameType, event: str, arg: Any) -> Any:
            # Runs at every Python call of the program, so the common case returns first.
            code = frame.f_code
            kind = codes.get(code)
            if kind is None:
                kind = self._classify(code)
            if kind is _OTHER:
                return None
            if kind is _USER:
                return locals_of(code) or local_for(code)
            if kind is _MODULE_CALL:
                settrace(None)
                self.module_caller = frame.f_back
                return None
            if kind is _BLOCK:
                pause()
                return None
            back = frame.f_back
            if back is not None and codes.get(back.f_code) == _USER:
                here, offset = back.f_code, back.f_lasti
            else:
                # Called by torch: the user's line is still the outer call's.
                here, offset = stack[-1][:2] if len(stack) > 1 else self.last_spot()
            module = stack[-1][2]
            self._handle(handlers[code], frame, "call", None)
            stack.append((here, offset, module))
            marks.append((seq(), here, offset, module))
            frame.f_trace_lines = False
            if code in blocks:
                pause()
            return returning

        return on_call

    def _make_returning(self) -> Callable[..., Any]:
        seq, marks, stack, handlers = self.seq, self.log.marks, self.stack, self.handlers

        def on_return(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "return":
                handler = handlers.get(frame.f_code)
                if handler is not None:
                    self._handle(handler, frame, event, arg)
                if len(stack) > 1:
                    here, offset, _ = stack.pop()
                    marks.append((seq(), here, ~offset, stack[-1][2]))
            elif event == "exception":
                handler = handlers.get(frame.f_code)
                if handler is not None:
                    self._handle(handler, frame, event, arg)
            return on_return

        return on_return

    def _local_for(self, code: CodeType) -> Callable[..., Any]:
        local = self._locals.get(code)
        if local is None:
            local = self._make_local(code)
            if self._onlooker is not None:
                local = self._watched(local, self._onlooker)
            self._locals[code] = local
        return local

    def _watched(
        self, local: Callable[..., Any], onlooker: Callable[[FrameType, bool], None]
    ) -> Callable[..., Any]:
        files = self.files

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "line":
                onlooker(frame, False)
            local(frame, event, arg)
            if event == "return":
                back = user_frame(frame.f_back, files)
                if back is not None:
                    onlooker(back, True)
            return on_line

        return on_line

    def _make_local(self, code: CodeType) -> Callable[..., Any]:
        seq, marks, stack, files = self.seq, self.log.marks, self.stack, self.files
        starts = self._iterations.body_starts(code)
        odd = suspicious(code.co_filename)
        lines, pending = self._lines, self._pending
        counts, log = self._iterations.counts, self.log
        twice, entered = self._iterations.repeated_starts(code), self._iterations.entered
        # Dict look-ups: comparing strings needs stack that may not be left near the limit.
        is_line, is_return = _IS_LINE, _IS_RETURN

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            if pending:
                held = pending.pop(frame, None)
                if held is not None:
                    try:
                        with Unnoticed():
                            lines.after(held[0], seq(), code, held[1])
                    except Exception as error:
                        self.guard(error)
            if is_line[event]:
                if odd and frame.f_lineno in odd:
                    try:
                        with Unnoticed():
                            values = lines.before(frame, frame.f_lineno)
                        if values:
                            pending[frame] = (values, frame.f_lasti)
                    except Exception as error:
                        self.guard(error)
                marks.append((seq(), code, ~frame.f_lasti, stack[-1][2]))
                if starts and frame.f_lineno in starts:
                    key = (code, frame.f_lineno)
                    # A block's end, or a loop's next turn, has another offset than its beginning.
                    offset = frame.f_lasti
                    if frame.f_lineno in twice and entered.setdefault(key, offset) != offset:
                        return on_line
                    counts[key] = counts.get(key, 0) + 1
                    log.trim()
            elif is_return[event]:
                back = frame.f_back
                while back is not None and back.f_code.co_filename not in files:
                    back = back.f_back
                if back is not None:
                    marks.append((seq(), back.f_code, ~back.f_lasti, stack[-1][2]))
            return on_line

        return on_line
