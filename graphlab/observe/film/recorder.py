"""Records the user's lines as they run, with their events and the parameters that they change.

Only on request: each line then costs a few microseconds more. Memory is bounded: only the current
iteration is kept, and those that `snapshots.py` keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.film.small_values import GradientPair, SmallValues, Values
from graphlab.observe.notes import Events, Log, RawBackward, RawModule, RawStep
from graphlab.observe.tensors import Unnoticed, grad_of, version_of
from graphlab.source.loops import headers_around

# How many lines of one iteration are kept.
LONGEST = 2_000
# With more parameters than this, changes are looked for only after lines with an event.
MANY = 500

# A parameter's (version, whether it has a gradient, names of the losses in the gradient, its values
# if they are few).
TrackedState = tuple[int, bool, tuple[str, ...], Values | None]


@dataclass(slots=True)
class LineEntry:
    """One line as it ran. `resumed`: a call in it has returned. `changes` are the parameters that
    it changed, by index."""

    seq: int
    code: CodeType
    offset: int
    line: int
    resumed: bool = False
    events: list[Any] = field(default_factory=list)
    changes: dict[int, TrackedState] = field(default_factory=dict)


@dataclass(slots=True)
class FilmedIteration:
    """The lines of one iteration, and the state of the parameters before them."""

    entries: list[LineEntry] = field(default_factory=list)
    before: dict[int, TrackedState] = field(default_factory=dict)
    left_out: int = 0
    # The sequence numbers of the nodes that each backward runs through, by its record's identity.
    covered: dict[int, frozenset[int]] = field(default_factory=dict)
    # The loop whose iteration it is: its code and the first line of its body.
    loop: tuple[CodeType, int] | None = None
    # Of a backward that is refused for a stale tensor, by its record's identity: the gradients.
    gradients: dict[int, list[GradientPair]] = field(default_factory=dict)

    def drop(self, count: int) -> list[LineEntry]:
        """Keep the first `count` lines; returns the others."""
        tail = self.entries[count:]
        del self.entries[count:]
        return tail

    def after(self, entries: list[LineEntry]) -> dict[int, TrackedState]:
        """The state of the parameters after some lines."""
        found = dict(self.before)
        for entry in entries:
            found.update(entry.changes)
        return found


class Recorder:
    """Replaces `log.events` by a deque that tells it of new events.

    `tracked` gives (parameter, ParameterState) pairs, `place` a parameter's index in the trace,
    `guard` is called with exceptions of the recorder's own.
    """

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
        self.small = SmallValues(log)
        self.filmed = FilmedIteration()
        log.events = _WatchedEvents(self._event, log.events)

    def line(self, frame: FrameType, resumed: bool = False) -> None:
        """A line of the user's begins, or continues after a call."""
        try:
            offset = frame.f_lasti if resumed else ~frame.f_lasti
            with Unnoticed():
                self._add_line(frame.f_code, offset, frame.f_lineno or 0, resumed)
        except Exception as error:
            self._guard(error)

    def begin_iteration(self, loop: tuple[CodeType, int] | None) -> FilmedIteration:
        """An iteration of `loop` (its code and first body line) reached its first backward: the
        lines since it began are moved to a new FilmedIteration, which is returned."""
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

    def look_at_gradients(self, record: RawBackward, arguments: Mapping[str, Any]) -> None:
        """A backward is about to run with these arguments."""
        try:
            pairs = [] if record.is_grad else self.small.pairs(arguments)
        except Exception as error:
            self._guard(error)
            return
        if pairs:
            self.filmed.gradients[id(record)] = pairs

    def stop(self, raised: bool) -> None:
        """Note the last line's changes. Unless the program `raised`, drop what ran after the last
        iteration: it ends, as the others do, at the head of its loop."""
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
        """The index after the last line with an event that matters, 0 if there is none."""
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
        """Forget the oldest lines. But if the last backward or step is long ago, its iteration may
        be over, and kept by snapshots.py: then the lines since begin a new FilmedIteration."""
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
        """Add an event to its line. If other lines ran meanwhile, in a call, the line gets a new
        entry."""
        try:
            entries = self.filmed.entries
            if raw.spot is not None:
                code, offset = raw.spot
                line = line_of(code, offset)
                last = entries[-1] if entries else None
                if last is None or last.code is not code or (last.line != line and last.resumed):
                    self._add_line(code, offset, line, True)
            # `_add_line` may have begun a new FilmedIteration.
            if self.filmed.entries:
                self.filmed.entries[-1].events.append(raw)
        except Exception as error:
            self._guard(error)

    def _note_changes(self) -> None:
        """Add what has changed since the last call to the line that has just run."""
        entries = self.filmed.entries
        if not entries:
            return
        last, known = entries[-1], self._known
        if len(known) > MANY and not last.events:
            return
        for parameter, gradient in self._tracked():
            grad = grad_of(parameter) is not None
            losses = tuple(dict.fromkeys(each.loss for each in gradient.sources)) if grad else ()
            place = self._place(parameter, None)
            values = self.small.values(place, parameter)
            now = version_of(parameter), grad, losses, values
            if known.get(place) != now:
                self.small.seen(place, parameter, now[0], values)
                known[place] = last.changes[place] = now


class _WatchedEvents(Events):
    """The log's events; calls `tell` with each new one."""

    def __init__(self, tell: Callable[[Any], None], before: Events) -> None:
        super().__init__(before)
        self._tell = tell

    def append(self, raw: Any) -> None:
        super().append(raw)
        self._tell(raw)


def line_of(code: CodeType, offset: int) -> int:
    from graphlab.source.places import locate

    return locate(code, offset).line
