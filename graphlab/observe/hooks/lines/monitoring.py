"""Follows lines by `sys.monitoring` (PEP 669), for Python 3.12 and later.

It is a tool beside others, a debugger or a coverage tool, and sees every thread. A line that was
visited often and made no node is switched off by itself; a line that never ran is still on.
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.hooks.line_tracer import Following, LineTracer
from graphlab.observe.hooks.lines.anchors import Anchors
from graphlab.source.files import user_frame
from graphlab.source.loops import one_line_loops
from graphlab.source.places import line_of

monitoring: Any = getattr(sys, "monitoring", None)

# How many visits without a node until a line is switched off. Where a loop's body begins: how many
# turns without anything that is noted, in a function that has begun how often. For how many numbers
# of nodes a line is expected to keep to them.
PATIENCE, TURNS, BEGUN, NUMBERS = 32, 128, 64, 8
# Ids that Python gives to no kind of tool, then those of tools that are rarely there.
_IDS = (4, 3, 5, 1, 0)
# How often lines are switched on again because of a number of nodes that is new.
RESTARTS = 64


class Line:
    """What is known of one line of the user's. `hot`: it made nodes, or called what did."""

    __slots__ = (
        "activity",
        "busy",
        "code",
        "hot",
        "keep",
        "made",
        "off",
        "start",
        "turns",
        "visits",
    )

    def __init__(self, code: CodeType, keep: bool, start: bool) -> None:
        self.code = code
        self.visits = 0
        self.hot = self.off = False
        # Whether it may write unseen, and whether a loop's body begins here.
        self.keep, self.start = keep, start
        # How many turns of that loop had nothing to note, how many had, and what was counted at the
        # last one.
        self.turns = self.busy = self.activity = 0
        # The numbers of nodes that it has made in one go.
        self.made: set[int] = set()


def free_tool() -> int | None:
    """The id of a tool that nobody has, None where there is none."""
    if monitoring is None:
        return None
    return next((each for each in _IDS if monitoring.get_tool(each) is None), None)


class MonitoringTracer(LineTracer):
    """See the module, and LineTracer. `tool` is an id from `free_tool`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._tool: int | None = None
        # By the identities of codes, which `_codes` keeps alive: a code computes its hash anew each
        # time.
        self._codes: dict[int, CodeType] = {}
        self._known: dict[int, dict[int, Line]] = {}
        self._begun: dict[int, int] = {}
        self._handled: set[int] = set()
        # The codes of which each line stays on: what one may write unseen is looked at as the next
        # one begins.
        self._all_on: set[int] = set()
        # The codes whose return is not told, as no line of them made a node.
        self._silent: set[int] = set()
        # An exception leaves no event of the function itself.
        raising = (
            "backward", "grad", "DistributedDataParallel.forward",
            "_verify_param_shape_across_processes",
        )  # fmt: skip
        self._anchors = Anchors(self, lambda each: each.__qualname__ in raising)
        self._restarts = RESTARTS

    def start(self) -> None:
        self.running = True
        self.bind()
        self.here()
        tool = self._tool = free_tool()
        self._anchors.put_in()
        if tool is None:
            return
        monitoring.use_tool_id(tool, "graphlab")
        events, on_line = monitoring.events, self._make_on_line()
        for event, callback in (
            (events.PY_START, self._on_start),
            (events.LINE, on_line),
            (events.JUMP, self._make_on_jump(on_line)),
            (events.PY_RETURN, self._on_return),
            (events.PY_YIELD, self._on_return),
        ):
            monitoring.register_callback(tool, event, callback)
        if not self.rests:
            monitoring.set_events(tool, events.PY_START)
        for function in self.handled:
            if not self._anchors.holds(function):
                self._handled.add(id(function.__code__))
                monitoring.set_local_events(
                    tool, function.__code__, events.PY_START | events.PY_RETURN
                )

    def rest(self) -> None:
        self.rests = True
        self.forget_line(self.here())
        if self._tool is not None:
            monitoring.set_events(self._tool, 0)
            for code in self._codes.values():
                monitoring.set_local_events(self._tool, code, 0)

    def begin_frames(self, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code in self.files:
                self._follow_code(frame.f_code)
            frame = frame.f_back

    def stop(self, frame: FrameType | None) -> None:
        self.running = False
        self.here().pending.clear()
        self._anchors.take_out()
        self.module_call_codes.clear()
        tool, self._tool = self._tool, None
        if tool is None:
            return
        events = monitoring.events
        for event in (
            events.PY_START,
            events.LINE,
            events.JUMP,
            events.PY_RETURN,
            events.PY_YIELD,
        ):
            monitoring.register_callback(tool, event, None)
        monitoring.set_events(tool, 0)
        for code in (*self._codes.values(), *(each.__code__ for each in self.handled)):
            monitoring.set_local_events(tool, code, 0)
        for kept in (self._known, self._silent, self._all_on, self._begun, self._handled):
            kept.clear()
        self._codes.clear()
        monitoring.free_tool_id(tool)

    def let_be(self, function: Any) -> None:
        self._anchors.drop(function)
        self._handled.discard(id(function.__code__))
        if self._tool is not None:
            monitoring.set_local_events(self._tool, function.__code__, 0)

    def lost_sight(self) -> bool:
        return self.running and (
            self._tool is None or monitoring.get_tool(self._tool) != "graphlab"
        )

    def step_aside(self) -> None:
        self._anchors.step_aside()

    def step_back(self) -> None:
        self._anchors.step_back()

    def resume(self) -> None:
        """It is never paused: what runs in torch costs nothing."""

    def wake(self, own: Following) -> None:
        own.activity += 1

    def learn_again(self) -> None:
        """Switch every line on that was switched off, here and for other tools: they are told of
        some lines once more."""
        if self._tool is not None:
            for lines in self._known.values():
                for line in lines.values():
                    line.off = False
            self._silent.clear()
            monitoring.restart_events()

    def _follow_code(self, code: CodeType) -> None:
        events = monitoring.events
        if self._tool is not None and not self.rests and id(code) not in self._known:
            self._codes[id(code)] = code
            self._known[id(code)] = {}
            told = events.LINE | events.PY_RETURN | events.PY_YIELD
            # Going back to where a line begins is no event of that line, here.
            told |= events.JUMP if one_line_loops(code.co_filename) else 0
            monitoring.set_local_events(self._tool, code, told)

    def _on_start(self, code: CodeType, offset: int) -> Any:
        try:
            if id(code) in self._handled:
                self.here().activity += 1
                self.call_handlers(code, sys._getframe(1), "call", None)
                return None
            if code in self.files:
                self._follow_code(code)
                begun = self._begun[id(code)] = self._begun.get(id(code), 0) + 1
                if begun <= BEGUN:
                    return None
        except Exception as error:
            self.guard(error)
        return monitoring.DISABLE

    def _line(self, code: CodeType, number: int) -> Line:
        self._codes[id(code)] = code
        lines = self._known.setdefault(id(code), {})
        line = lines.get(number)
        if line is None:
            odd = number in self.odd_lines(code)
            line = lines[number] = Line(code, odd, number in self.iterations.body_starts(code))
        return line

    def _make_on_line(self) -> Any:
        from threading import get_ident

        seq, known, getframe = self.seq, self._known, sys._getframe
        followings, follow = self.followings, self.follow
        disable, made = monitoring.DISABLE, self._made

        def on_line(code: CodeType, number: int, depth: int = 1) -> Any:
            try:
                ident = get_ident()
                own = followings.get(ident) or follow(ident)
                lines = known.get(id(code))
                line = lines.get(number) if lines is not None else None
                if line is None:
                    line = self._line(code, number)
                frame = getframe(depth)
                now = seq()
                if now < own.seq:
                    # Another thread has got the identity of one that has ended.
                    own = follow(ident)
                if own.pending:
                    self.write_ended(own, frame)
                last, own.last = own.last, line
                if now != own.seq:
                    count, own.seq = now - own.seq, now
                    if last is not None and (not last.hot or count not in last.made):
                        made(last, count)
                own.marks.append((now, code, ~frame.f_lasti, own.stack[-1][3]))
                line.visits += 1
                if line.keep:
                    self._may_write(own, frame, number)
                if line.start:
                    self.body_begins(code, number, frame.f_lasti)
                if self.onlooker is not None:
                    if ident == self.thread:
                        self.onlooker(frame, False)
                elif line.start and self._needed(own, line, now):
                    return None
                elif not line.hot and line.visits > PATIENCE and id(code) not in self._all_on:
                    line.off = True
                    if line.start:
                        self.iterations.lose((code, number))
                    return disable
            except Exception as error:
                self.guard(error)
            return None

        return on_line

    def _make_on_jump(self, on_line: Any) -> Any:
        def on_jump(code: CodeType, offset: int, to: int) -> Any:
            """A turn of a loop that is written in one line begins as one of a longer loop does."""
            if to < offset and (line := line_of(code, to)) in one_line_loops(code.co_filename):
                return on_line(code, line, 2)
            return monitoring.DISABLE

        return on_jump

    def _made(self, line: Line, count: int) -> None:
        """Between this line and the next that is on, so many nodes were made, as never before."""
        again = line.off
        if not line.hot:
            line.hot = True
            again = again or id(line.code) in self._silent
        elif len(line.made) < NUMBERS and line.visits > PATIENCE and self._restarts > 0:
            # Perhaps a line that is switched off has made some of them.
            self._restarts -= 1
            again = True
        if len(line.made) < NUMBERS:
            line.made.add(count)
        if again:
            self.learn_again()

    def _needed(self, own: Following, line: Line, now: int) -> bool:
        """Whether the turns of a loop must be counted on."""
        activity = own.activity + now
        if activity == line.activity:
            line.turns += 1
        else:
            line.busy += 1
            line.activity = activity
        begun = self._begun.get(id(line.code), 0)
        # What happens between two calls of the function is no turn of the loop.
        return line.turns <= TURNS or begun <= BEGUN or line.busy > begun

    def _may_write(self, own: Following, frame: FrameType, number: int) -> None:
        self.write_begins(own, frame, number)
        code = frame.f_code
        if own.pending and id(code) not in self._all_on:
            self._all_on.add(id(code))
            if any(line.off for line in self._known[id(code)].values()):
                self.learn_again()

    def _on_return(self, code: CodeType, offset: int, value: Any) -> Any:
        try:
            frame = sys._getframe(1)
            if id(code) in self._handled:
                self.call_handlers(code, frame, "return", value)
                return None
            own = self.here()
            if own.pending:
                self.write_ended(own, frame)
            back = user_frame(frame.f_back, self.files)
            now = self.seq()
            last, own.last = own.last, None
            if now != own.seq:
                count, own.seq = now - own.seq, now
                if last is not None and (not last.hot or count not in last.made):
                    self._made(last, count)
            if back is None:
                own.marks.append((now, None, 0, None))
                return None
            own.marks.append((now, back.f_code, ~back.f_lasti, own.stack[-1][3]))
            if self.onlooker is not None:
                if own.ident == self.thread:
                    self.onlooker(back, True)
                return None
            lines = self._known.get(id(code), {})
            caller = own.last = self._line(back.f_code, back.f_lineno or 0)
            if id(code) in self._all_on or any(line.hot for line in lines.values()):
                # What follows on the caller's line is told from this call by its return alone.
                caller.hot = True
                if caller.off:
                    self.learn_again()
                return None
            if sum(line.visits for line in lines.values()) > PATIENCE * max(1, len(lines)):
                self._silent.add(id(code))
                return monitoring.DISABLE
        except Exception as error:
            self.guard(error)
        return None
