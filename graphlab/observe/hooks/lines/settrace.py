"""Follows lines by `sys.settrace`, for Python 3.11, and on request for others.

A trace function costs far more than the Python that it follows. So it is off while torch's own
modules and steps run, and in functions that are known to be calm (calm.py).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.hooks.line_tracer import Following, LineTracer
from graphlab.observe.hooks.lines.anchors import Anchors
from graphlab.observe.hooks.lines.calm import Calm, Dark, EndOfFrame
from graphlab.observe.hooks.lines.onlookers import watched
from graphlab.observe.hooks.lines.prelude import Prelude
from graphlab.observe.hooks.stack_depth import ABOVE
from graphlab.source.files import user_frame

_EVENTS = ("call", "line", "return", "exception", "opcode")
_IS_LINE, _IS_RETURN = ({name: name == one for name in _EVENTS} for one in ("line", "return"))

_OTHER, _USER, _SPECIAL, _BLOCK, _MODULE_CALL, _ANCHOR = range(6)


class SettraceTracer(LineTracer):
    switches = True
    above = ABOVE

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # By the identities of codes, which are kept alive: a code computes its hash anew each time.
        self._codes: dict[int, int] = {}
        self._alive: list[CodeType] = []
        # Those of functions with a handler that run in a record_function block.
        self._special_blocks: set[int] = set()
        self._before: Any = None
        self._before_in_threads: Any = None
        # The `f_trace` that frames had before, such as a debugger's.
        self._kept: dict[FrameType, Any] = {}
        self._calm = Calm()
        self._prelude = Prelude(self)
        # Put in when the tracer goes dark for the first time: without it, the events are enough.
        self._anchors = Anchors(self, lambda each: not self._prelude.holds(each))

    def start(self) -> None:
        self.bind()
        own = self.here()
        self.running = True
        if self.rests:
            self._anchors.put_in()
            return
        self._before = sys.gettrace()
        self._before_in_threads = threading.gettrace()
        threading.settrace(self._in_new_thread)
        self._prelude.put_in()
        sys.settrace(own.trace)

    def follow(self, ident: int) -> Following:
        own = super().follow(ident)
        own.trace = self._make_global(own)
        return own

    def follows_here(self) -> bool:
        return self.running and threading.get_ident() in self.followings

    def _in_new_thread(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not self.running:
            sys.settrace(None)
            return None
        own = self.follow(threading.get_ident())
        sys.settrace(own.trace)
        return own.trace(frame, event, arg)

    def rest(self) -> None:
        own = self.here()
        self.rests = True
        self._anchors.put_in()
        # A code that is not known is where other threads' trace functions notice it.
        self._codes.clear()
        self.forget_line(own)
        if own.dark is not None:
            own.dark = None
            self.limit.count_again()
        if sys.gettrace() is own.trace:
            sys.settrace(self._before)

    def begin_frames(self, frame: FrameType | None) -> None:
        if self.rests:
            return
        own = self.here()
        while frame is not None:
            if frame.f_code in self.files:
                self._kept[frame] = frame.f_trace
                frame.f_trace = self._local_for(own, frame.f_code)
            frame = frame.f_back

    def stop(self, frame: FrameType | None) -> None:
        own = self.here()
        away = own.paused or own.off_in_module or own.dark is not None
        if sys.gettrace() is own.trace or (away and self.running and not self.rests):
            sys.settrace(self._before)
        self.running = False
        if own.dark is not None:
            self.limit.count_again()
        own.dark = own.module_caller = None
        own.paused = own.off_in_module = own.silenced = own.in_prelude = False
        own.pending.clear()
        own.calls.clear()
        self._anchors.take_out()
        self._prelude.take_out()
        # The swapped code object refers to this tracer, and the garbage collector does not look
        # into code objects: the cycle is broken here.
        self._codes.clear()
        self._alive.clear()
        self.module_call_codes.clear()
        if threading.gettrace() == self._in_new_thread:
            threading.settrace(self._before_in_threads)  # pyright: ignore[reportArgumentType]
        while frame is not None:
            if frame.f_trace is not None and (
                frame.f_trace is own.locals.get(id(frame.f_code))
                or isinstance(frame.f_trace, EndOfFrame)
            ):
                frame.f_trace = self._kept.get(frame)
            frame = frame.f_back
        self._kept.clear()

    def pause(self) -> bool:
        own = self.here()
        if not self.running or sys.gettrace() is not own.trace:
            return False
        sys.settrace(None)
        own.paused = True
        return True

    def resume(self) -> None:
        own = self.here()
        if own.paused:
            own.paused = False
            if self.running and not self.rests and sys.gettrace() is None:
                sys.settrace(own.trace)

    def silence(self, own: Following) -> bool:
        silenced, own.silenced = own.silenced, False
        if not silenced and sys.gettrace() is own.trace:
            sys.settrace(None)
            return True
        return silenced

    def go_on(self, own: Following, pause: bool) -> None:
        if pause:
            own.paused = True
        elif self.running and not self.rests and sys.gettrace() is None:
            sys.settrace(own.trace)

    def swapped(self, code: CodeType) -> None:
        self._codes[id(code)] = _ANCHOR
        self._alive.append(code)

    def let_be(self, function: Any) -> None:
        self._anchors.drop(function)
        self._codes[id(function.__code__)] = _OTHER

    def blind(self, own: Following) -> bool:
        away = own.paused or own.off_in_module or own.in_prelude or own.dark is not None
        return not away and not self.rests and sys.gettrace() is not own.trace

    def step_aside(self) -> None:
        self._anchors.step_aside()
        self._prelude.step_aside()

    def step_back(self) -> None:
        self._anchors.step_back()
        self._prelude.step_back()

    def wake(self, own: Following) -> None:
        """Called as torch is asked for something that is noted: whatever called it is not calm."""
        own.activity += 1
        own.quiet = 0
        dark = own.dark
        if dark is None:
            return
        own.dark = None
        self.limit.count_again()
        self._calm.disturbed(dark.code)
        if not self.running or sys.gettrace() is not None or own.paused or own.off_in_module:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            code = frame.f_code
            trace = frame.f_trace
            last = isinstance(trace, EndOfFrame) and trace.dark is dark
            del trace
            if code in self.files:
                if last or frame.f_trace is None:
                    frame.f_trace = self._local_for(own, code)
                # The turns of its loops were not counted.
                self.iterations.lose_before(code, frame.f_lineno)
            frame = None if last else frame.f_back
        sys.settrace(own.trace)

    def end_dark(self, dark: Dark) -> None:
        """The call that was not followed has returned."""
        own = dark.own
        if own.dark is not dark:
            return
        own.dark = None
        self.limit.count_again()
        if threading.get_ident() != own.ident:
            return
        now = self.seq()
        if now == dark.seq:
            self._calm.held(dark.code)
        else:
            self._calm.disturbed(dark.code)
        own.seq, own.quiet = now, 0
        back = dark.back
        if back is not None and own.marks and own.marks[-1][1] is not back.f_code:
            own.marks.append((now, back.f_code, ~back.f_lasti, own.stack[-1][3]))
        if self.running and sys.gettrace() is None and not own.paused and not own.off_in_module:
            sys.settrace(own.trace)

    def _dim(self, own: Following, frame: FrameType, index: int, now: int) -> EndOfFrame | None:
        """Do not follow what runs until `frame` ends. Returns what must become its `f_trace`."""
        self._anchors.put_in()
        if not self.limit.leave_out():
            return None
        # These hold the frames, whose end is waited for.
        del own.calls[index:]
        back = user_frame(frame.f_back, self.files)
        dark = own.dark = Dark(own, frame.f_code, now, back)
        sys.settrace(None)
        return EndOfFrame(dark, self.end_dark)

    def _dim_outermost(self, own: Following, frame: FrameType, now: int) -> EndOfFrame | None:
        """Nothing was made for long: go dark in the outermost call for which that is so."""
        own.quiet = 0
        if self.onlooker is not None:
            return None
        index = self._calm.outermost(own.calls, now, own.activity)
        if index < 0:
            return None
        outer = own.calls[index][0]
        end = self._dim(own, outer, index, now)
        if outer is frame or end is None:
            return end
        outer.f_trace = end
        return None

    def _classify(self, code: CodeType) -> int:
        if code in self.files:
            kind = _USER
        elif id(code) in self.handlers:
            kind = _SPECIAL
            if code in self.blocks:
                self._special_blocks.add(id(code))
        elif code in self.blocks:
            kind = _BLOCK
        elif code in self.module_call_codes:
            kind = _MODULE_CALL
        else:
            kind = _OTHER
        self._codes[id(code)] = kind
        self._alive.append(code)
        return kind

    def _make_global(self, own: Following) -> Callable[..., Any]:
        codes, seq, marks, calls = self._codes, self.seq, own.marks, own.calls
        stack, local_for = own.stack, self._local_for
        returning = self._make_returning(own)
        pause, blocks, settrace = self.pause, self._special_blocks, sys.settrace
        locals_of, calm = own.locals.get, self._calm.known

        def on_call(frame: FrameType, event: str, arg: Any) -> Any:
            # Runs at every Python call of the program, so the common case returns first.
            code = frame.f_code
            kind = codes.get(id(code))
            if kind is None:
                if not self.running or self.rests:
                    # In a thread that outlives the session, or where lines are followed no more.
                    if self.running:
                        self.forget_line(own)
                    settrace(None)
                    return None
                kind = self._classify(code)
            if kind is _OTHER:
                return None
            if kind is _USER:
                now = seq()
                if id(code) in calm and self.onlooker is None:
                    end = self._dim(own, frame, len(calls), now)
                    if end is not None:
                        return end
                calls.append((frame, now, own.activity, own.events))
                return locals_of(id(code)) or local_for(own, code)
            if kind is _MODULE_CALL:
                settrace(None)
                own.module_caller = frame.f_back
                return None
            if kind is _BLOCK:
                pause()
                return None
            if kind is _ANCHOR:
                settrace(None)
                own.silenced = True
                return None
            back = frame.f_back
            if back is not None and codes.get(id(back.f_code)) == _USER:
                here, offset = back.f_code, back.f_lasti
            else:
                # Called by torch: the user's line is still the outer call's.
                here, offset = stack[-1][1:3] if len(stack) > 1 else self.last_spot()
            own.activity += 1
            own.quiet = 0
            module = stack[-1][3]
            self.call_handlers(code, frame, "call", None)
            mark = seq(), here, offset, module
            stack.append(mark)
            marks.append(mark)
            frame.f_trace_lines = False
            if id(code) in blocks:
                pause()
            return returning

        return on_call

    def _make_returning(self, own: Following) -> Callable[..., Any]:
        seq, marks, stack, handlers = self.seq, own.marks, own.stack, self.handlers

        def on_return(frame: FrameType, event: str, arg: Any) -> Any:
            if event != "line" and id(frame.f_code) in handlers:
                self.call_handlers(frame.f_code, frame, event, arg)
            if event == "return":
                if len(stack) > 1:
                    _, here, offset, _ = stack.pop()
                    marks.append((seq(), here, ~offset, stack[-1][3]))
                if self.rests:
                    # Since this very call.
                    self.forget_line(own)
            return on_return

        return on_return

    def _local_for(self, own: Following, code: CodeType) -> Callable[..., Any]:
        local = own.locals.get(id(code))
        if local is None:
            local = self._make_local(own, code)
            if self.onlooker is not None and own.ident == self.thread:
                local = watched(local, self.onlooker, self.files)
            own.locals[id(code)] = local
        return local

    def _make_local(self, own: Following, code: CodeType) -> Callable[..., Any]:
        seq, marks, stack, files, calls = self.seq, own.marks, own.stack, self.files, own.calls
        starts = self.iterations.body_starts(code)
        odd, pending = self.odd_lines(code), own.pending
        write_begins, write_ended = self.write_begins, self.write_ended
        body_begins = self.body_begins
        calm, patience = self._calm, self._calm.PATIENCE
        # Dict look-ups: comparing strings needs stack that may not be left near the limit.
        is_line, is_return = _IS_LINE, _IS_RETURN

        def on_line(frame: FrameType, event: str, arg: Any) -> Any:
            if pending:
                write_ended(own, frame)
            if is_line[event]:
                line = frame.f_lineno
                if odd and line in odd:
                    write_begins(own, frame, line)
                now = seq()
                marks.append((now, code, ~frame.f_lasti, stack[-1][3]))
                own.events += 1
                if now != own.seq:
                    own.seq, own.quiet = now, 0
                else:
                    own.quiet += 1
                if line in starts:
                    body_begins(code, line, frame.f_lasti)
                if own.quiet > patience:
                    return self._dim_outermost(own, frame, now) or on_line
            elif is_return[event]:
                now = seq()
                if calls and calls[-1][0] is frame:
                    _, before, activity, events = calls.pop()
                    same = before == now and activity == own.activity
                    calm.vote(code, same, own.events - events)
                back = frame.f_back
                while back is not None and back.f_code not in files:
                    back = back.f_back
                if back is not None:
                    marks.append((now, back.f_code, ~back.f_lasti, stack[-1][3]))
                else:
                    marks.append((now, None, 0, None))
            return on_line

        return on_line
