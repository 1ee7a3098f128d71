"""graphlab.watch(): the session that users hold, with its findings and assertions."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from graphlab.api.assertions import Assertions
from graphlab.errors import UserError
from graphlab.language import message
from graphlab.observe.live_objects import LiveObjects
from graphlab.observe.observation import Observation
from graphlab.observe.price.budget import checked_share
from graphlab.source.objects import exactly
from graphlab.trace.model import Trace
from graphlab.views.cell import SessionReport, show_findings

if TYPE_CHECKING:
    from graphlab.api.player import Player


class Session(Assertions):
    """One observation: a context manager whose `trace` and `findings` can be read at any time.

    Entering a session again after its end starts a new observation and drops the old one; so
    does entering one that `gives_way` while it is open. A session inside another is a part of it:
    both see what ran in the inner one.
    """

    def __init__(
        self,
        target: str = "<session>",
        targets: tuple[str, ...] = (),
        gives_way: bool = False,
        film: bool = False,
        budget: float | None = None,
        nan_from: int | None = None,
    ) -> None:
        if nan_from is not None and not (exactly(nan_from, int) and nan_from >= 0):
            given = message("usage.no_iteration", given=str(nan_from))
            raise UserError(given, message("usage.help.iteration"))
        self._nan_from = nan_from
        self._of = target, targets, gives_way
        self._film = film
        self._budget = checked_share(budget) if budget is not None else None
        self._observation = self._anew()
        show_findings()

    def _anew(self) -> Observation:
        observation = Observation(*self._of)
        if self._film:
            observation.keep_film()
        if self._budget is not None:
            observation.keep_within(self._budget)
        return observation

    @property
    def trace(self) -> Trace:
        """What was observed. While the session is open, what has been observed so far."""
        return self._observation.trace

    @property
    def _live(self) -> LiveObjects:
        return self._observation.live_objects

    def start(self, frame: FrameType | None = None) -> Session:
        """Begin to observe. `frame` (the caller) and its callers are traced, as is what they call.

        Raises:
            RuntimeError: when this session is already open.
        """
        if self._observation.gives_way and self._observation.open:
            self._observation.stop()
        if self._observation.over:
            self._observation = self._anew()
        self._observation.start(frame or sys._getframe(1))
        if self._nan_from is not None:
            self._observation.numbers.look_from(self._nan_from)
        return self

    def number(self, iteration: int) -> None:
        """Call what follows iteration `iteration` (from 0), in place of counting the turns of the
        program's loops: a library's loop is around it, and has its own count."""
        self._observation.iterations.given = iteration

    def stop(self, error: BaseException | None = None, frame: FrameType | None = None) -> None:
        """Remove every hook. `error` is the exception that ended the program, if any. Safe to
        call twice."""
        self._observation.stop(error, frame or sys._getframe(1))

    def __enter__(self) -> Session:
        return self.start(sys._getframe(1))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._observation.stop(error, sys._getframe(1))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return SessionReport(self)._repr_mimebundle_()

    def player(self, quiz: bool = False) -> Player:
        """The iteration that explains most, played line by line; in a notebook it shows itself.

        With `quiz` it asks before it shows.

        Raises:
            UserError: when the session was made without ``film=True``, or no line ran in it.
        """
        from graphlab.api.player import Player, film_of, played_run

        trace, findings = self.trace, self.findings
        film = film_of(self._observation, trace, findings)
        if film is None:
            raise UserError(message("usage.session_film"), message("usage.help.watch_film"))
        return Player([played_run(trace, film, findings)], quiz)

    def save_html(self, path: str | Path, quiz: bool = False) -> str:
        """Write the player as an HTML page; returns the path.

        Raises:
            UserError: as `player` does, and for a file that cannot be written.
        """
        return self.player(quiz).save(path)


def watch(
    target: str = "<session>",
    targets: tuple[str, ...] = (),
    film: bool = False,
    budget: float | None = None,
    nan_from: int | None = None,
) -> Session:
    """Observe the body of a ``with`` block::

        with graphlab.watch() as session:
            train()
        session.assert_clean()

    The program's values, exceptions and random numbers are those of an unwatched run. `target`
    is the session's name in reports; `targets` are files and folders that count as the user's own
    even where they are installed. `film` also records every line, for ``session.player()``, which
    costs some tens of microseconds a line.

    `budget` is what watching may take, as a share of the program's own time: 0.2 is a fifth. Where
    it takes more, graphlab looks less (docs/overhead.md says in what order), and the report says at
    what it did not look.

    With `nan_from` every operation from that iteration on is followed, to find the one that made
    the first NaN or infinite number, as by ``graphlab run --nan-from``. The program is several
    times as slow then.

    Raises:
        UserError: when `budget` is not a number above 0, or `nan_from` is no iteration.
    """
    return Session(target, targets, film=film, budget=budget, nan_from=nan_from)
