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
State = tuple[int, bool, tuple[str, ...]]


@dataclass(slots=True)
class Shot:
    """One line as it ran. `changes` has the parameters, by place, that it changed."""

    seq: int
    code: CodeType
    offset: int
    line: int
    resumed: bool = False
    events: list[Any] = field(default_factory=list)
    changes: dict[int, State] = field(default_factory=dict)


@dataclass(slots=True)
class Take:
    """The shots of one iteration, and the state of the parameters before them."""

    shots: list[Shot] = field(default_factory=list)
    before: dict[int, State] = field(default_factory=dict)
    left_out: int = 0
    # The sequence numbers of the nodes that each backward runs through, by its record's identity.
    covered: dict[int, frozenset[int]] = field(default_factory=dict)
    # The loop whose iteration it is: its code and the first line of its body.
    loop: tuple[CodeType, int] | None = None

    def drop(self, count: int) -> list[Shot]:
        """Forget all but the first `count` shots; returns the others."""
        tail = self.shots[count:]
        del self.shots[count:]
        return tail

    def after(self, shots: list[Shot]) -> dict[int, State]:
        found = dict(self.before)
        for shot in shots:
            found.update(shot.changes)
        return found


class Camera:
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
        self._known: dict[int, State] = {}
        self.take = Take()
        log.events = _Noted(self._event, log.events)

    def line(self, frame: FrameType, resumed: bool = False) -> None:
        """A line of the user's begins, or goes on after a call."""
        try:
            offset = frame.f_lasti if resumed else ~frame.f_lasti
            with Unnoticed():
                self._shoot(frame.f_code, offset, frame.f_lineno or 0, resumed)
        except Exception as error:
            self._guard(error)

    def cut(self, loop: tuple[CodeType, int] | None) -> Take:
        """An iteration of `loop` (its code and first body line) has come to its first backward:
        what was shot since it began is a new take. Returns it."""
        old, first = self.take, 0
        if loop is not None:
            code, line = loop
            shots = old.shots
            first = next(
                (
                    at
                    for at in range(len(shots) - 1, -1, -1)
                    if shots[at].code is code and shots[at].line == line and not shots[at].resumed
                ),
                0,
            )
        elif any(shot.events for shot in old.shots[:-1]) and old.before:
            first = len(old.shots) - 1
        tail = old.drop(first)
        left_out = old.left_out if first == 0 else 0
        self.take = Take(tail, old.after(old.shots), left_out, loop=loop)
        return self.take

    def stop(self, raised: bool) -> None:
        """The last line is over too. Unless the program `raised`, the last iteration ends where
        the others do: at the loop's head. The epochs that found nothing left to do are no part
        of it, nor is what comes after the loop."""
        self._look()
        shots, loop = self.take.shots, self.take.loop
        if raised or loop is None:
            return
        code, line = loop
        heads = headers_around(code.co_filename, line)
        for at in range(self._last(lambda raw: not isinstance(raw, RawModule)), len(shots)):
            if shots[at].code is code and shots[at].line in heads and not shots[at].resumed:
                self.take.drop(at + 1)
                return

    def _last(self, matters: Callable[[Any], bool]) -> int:
        """The place after the last shot with an event that matters, 0 where there is none."""
        shots = self.take.shots
        places = range(len(shots), 0, -1)
        return next((at for at in places if any(map(matters, shots[at - 1].events))), 0)

    def _shoot(self, code: CodeType, offset: int, line: int, resumed: bool) -> None:
        self._look()
        shots = self.take.shots
        shots.append(Shot(self._seq(), code, offset, line, resumed))
        if len(shots) > 2 * LONGEST:
            self._make_room()

    def _make_room(self) -> None:
        """Forget the oldest lines. But where a backward or a step ran long ago, they belong to an
        iteration that may be over and is to be kept; then what came since is a take of its own."""
        old = self.take
        over = self._last(lambda raw: isinstance(raw, RawBackward | RawStep))
        if 0 < over <= LONGEST:
            tail = old.drop(over)
            self.take = Take(tail, old.after(old.shots), old.left_out + over, loop=old.loop)
            return
        tail = old.drop(LONGEST)
        old.before = old.after(old.shots)
        old.shots[:] = tail
        old.left_out += LONGEST

    def _event(self, raw: Any) -> None:
        """An event belongs to the line that it happened at, where that is not the one that began
        last: a call in it may have run other lines."""
        try:
            shots = self.take.shots
            if raw.spot is not None:
                code, offset = raw.spot
                line = line_of(code, offset)
                last = shots[-1] if shots else None
                if last is None or last.code is not code or (last.line != line and last.resumed):
                    self._shoot(code, offset, line, True)
            # The take may be another one by now.
            if self.take.shots:
                self.take.shots[-1].events.append(raw)
        except Exception as error:
            self._guard(error)

    def _look(self) -> None:
        """Put what has changed since the last look down to the line that has just run."""
        shots = self.take.shots
        if not shots:
            return
        last, known = shots[-1], self._known
        if len(known) > MANY and not last.events:
            return
        for parameter, gradient in self._tracked():
            grad = grad_of(parameter) is not None
            losses = tuple(dict.fromkeys(each.loss for each in gradient.sources)) if grad else ()
            now = version_of(parameter), grad, losses
            place = self._place(parameter, None)
            if known.get(place) != now:
                known[place] = last.changes[place] = now


class _Noted(deque[Any]):
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
