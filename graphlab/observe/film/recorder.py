"""Films a run: which line came after which, what happened at it, what it changed.

Only on request. Each line of the user's costs a few microseconds more, and memory is bounded: of
all iterations but those that `snapshots.py` takes, nothing is kept once the next has begun.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.iterations import headers_around
from graphlab.observe.notes import KEEP_EVENTS, Log, RawBackward, RawModule, RawStep
from graphlab.observe.tensors import Unnoticed, grad_of, version_of

# More lines than this are not kept of one iteration.
LONGEST = 2_000
# With more parameters than this, they are looked at only after a line at which something happened.
MANY = 500

# (version, whether there is a gradient, the losses in it)
TrackedState = tuple[int, bool, tuple[str, ...]]


@dataclass(slots=True)
class LineEntry:
    """One line as it ran. `changes` has the parameters, by place, that it changed."""

    seq: int
    code: CodeType
    offset: int
    line: int
    resumed: bool = False
    events: list[Any] = field(default_factory=list)
    changes: dict[int, TrackedState] = field(default_factory=dict)


@dataclass(slots=True)
class FilmedIteration:
    """The shots of one iteration, and the state of the parameters before them."""

    entries: list[LineEntry] = field(default_factory=list)
    before: dict[int, TrackedState] = field(default_factory=dict)
    left_out: int = 0
    # The sequence numbers of the nodes that each backward runs through, by its record's identity.
    covered: dict[int, frozenset[int]] = field(default_factory=dict)
    # The loop whose iteration it is: its code and the first line of its body.
    loop: tuple[CodeType, int] | None = None

    def drop(self, count: int) -> list[LineEntry]:
        """Forget all but the first `count` shots; returns the others."""
        tail = self.entries[count:]
        del self.entries[count:]
        return tail

    def after(self, entries: list[LineEntry]) -> dict[int, TrackedState]:
        found = dict(self.before)
        for entry in entries:
            found.update(entry.changes)
        return found


class Recorder:
    """`tracked` yields (parameter, what is known of its gradient), `place` its number."""

    def __init__(
        self,
        log: Log,
        seq: Callable[[], int],
        tracked: Callable[[], list[tuple[Any, Any]]],
        place: Callable[[Any, None], int],
        guard: Callable[[Exception], None],
    ) -> None:
        self._seq, self._tracked, self._place, self._guard = seq, tracked, place, guard
        self._known: dict[int, TrackedState] = {}
        self.filmed = FilmedIteration()
        log.events = _WatchedEvents(self._event, log.events)

    def line(self, frame: FrameType, resumed: bool = False) -> None:
        """A line of the user's begins, or goes on after a call."""
        try:
            offset = frame.f_lasti if resumed else ~frame.f_lasti
            with Unnoticed():
                self._add_line(frame.f_code, offset, frame.f_lineno or 0, resumed)
        except Exception as error:
            self._guard(error)

    def begin_iteration(self, loop: tuple[CodeType, int] | None) -> FilmedIteration:
        """An iteration of `loop` (its code and first body line) has come to its first backward:
        what was shot since it began is a new take. Returns it."""
        old, first = self.filmed, 0
        if loop is not None:
            code, line = loop
            entries = old.entries
            first = next(
                (
                    at
                    for at in range(len(entries) - 1, -1, -1)
                    if entries[at].code is code
                    and entries[at].line == line
                    and not entries[at].resumed
                ),
                0,
            )
        elif any(entry.events for entry in old.entries[:-1]) and old.before:
            first = len(old.entries) - 1
        tail = old.drop(first)
        left_out = old.left_out if first == 0 else 0
        self.filmed = FilmedIteration(tail, old.after(old.entries), left_out, loop=loop)
        return self.filmed

    def stop(self, raised: bool) -> None:
        """The last line is over too. Unless the program `raised`, the last iteration ends where
        the others do: at the loop's head. The epochs that found nothing left to do are no part
        of it, nor is what comes after the loop."""
        self._note_changes()
        entries, loop = self.filmed.entries, self.filmed.loop
        if raised or loop is None:
            return
        code, line = loop
        heads = headers_around(code.co_filename, line)
        for at in range(self._last(lambda raw: not isinstance(raw, RawModule)), len(entries)):
            if entries[at].code is code and entries[at].line in heads and not entries[at].resumed:
                self.filmed.drop(at + 1)
                return

    def _last(self, matters: Callable[[Any], bool]) -> int:
        """The place after the last shot with an event that matters, 0 where there is none."""
        entries = self.filmed.entries
        places = range(len(entries), 0, -1)
        return next((at for at in places if any(map(matters, entries[at - 1].events))), 0)

    def _add_line(self, code: CodeType, offset: int, line: int, resumed: bool) -> None:
        self._note_changes()
        entries = self.filmed.entries
        entries.append(LineEntry(self._seq(), code, offset, line, resumed))
        if len(entries) > 2 * LONGEST:
            self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest lines. But where a backward or a step ran long ago, they belong to an
        iteration that may be over and is to be kept; then what came since is a take of its own."""
        old = self.filmed
        over = self._last(lambda raw: isinstance(raw, RawBackward | RawStep))
        if 0 < over <= LONGEST:
            tail = old.drop(over)
            self.filmed = FilmedIteration(
                tail, old.after(old.entries), old.left_out + over, loop=old.loop
            )
            return
        tail = old.drop(LONGEST)
        old.before = old.after(old.entries)
        old.entries[:] = tail
        old.left_out += LONGEST

    def _event(self, raw: Any) -> None:
        """An event belongs to the line that it happened at, where that is not the one that began
        last: a call in it may have run other lines."""
        try:
            entries = self.filmed.entries
            if raw.spot is not None:
                code, offset = raw.spot
                line = line_of(code, offset)
                last = entries[-1] if entries else None
                if last is None or last.code is not code or (last.line != line and last.resumed):
                    self._add_line(code, offset, line, True)
            # The take may be another one by now.
            if self.filmed.entries:
                self.filmed.entries[-1].events.append(raw)
        except Exception as error:
            self._guard(error)

    def _note_changes(self) -> None:
        """Put what has changed since the last look down to the line that has just run."""
        entries = self.filmed.entries
        if not entries:
            return
        last, known = entries[-1], self._known
        if len(known) > MANY and not last.events:
            return
        for parameter, gradient in self._tracked():
            grad = grad_of(parameter) is not None
            losses = tuple(dict.fromkeys(each.loss for each in gradient.sources)) if grad else ()
            now = version_of(parameter), grad, losses
            place = self._place(parameter, None)
            if known.get(place) != now:
                known[place] = last.changes[place] = now


class _WatchedEvents(deque[Any]):
    """The log's events, which also tells of every new one."""

    def __init__(self, tell: Callable[[Any], None], before: deque[Any]) -> None:
        super().__init__(before, KEEP_EVENTS)
        self._tell = tell

    def append(self, raw: Any) -> None:
        super().append(raw)
        self._tell(raw)


def line_of(code: CodeType, offset: int) -> int:
    from graphlab.source.places import locate

    return locate(code, offset).line
