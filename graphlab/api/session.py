"""`graphlab.watch()`: the observer's session, with the findings and the assertions of a test."""

from __future__ import annotations

from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from graphlab.api.assertions import Assertions
from graphlab.errors import UserError
from graphlab.trace import finding

if TYPE_CHECKING:
    from graphlab.api.player import Player


class Session(Assertions):
    """One observation: a context manager whose `trace` and `findings` can be read at any time.

    A session that is over begins anew when it is entered again, and so does one that
    `gives_way` and is still open: what it saw before no longer counts.
    """

    def __init__(
        self,
        target: str = "<session>",
        targets: tuple[str, ...] = (),
        gives_way: bool = False,
        film: bool = False,
    ) -> None:
        super().__init__(target, targets)
        self.gives_way = gives_way
        self._again = target, targets, gives_way, film
        self._begun = False
        if film:
            self.keep_film()

    def start(self, frame: FrameType | None = None, below: int = 0) -> Session:
        """Begin to observe. Raises RuntimeError when this session is open already."""
        if self._begun and self._trace is None and self.gives_way:
            self.stop()
        if self._trace is not None:
            self.__init__(*self._again)
        super().start(frame, below)
        self._begun = True
        return self

    def __enter__(self) -> Session:
        super().__enter__()
        return self

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        from graphlab.views.cell import Shown

        return Shown(self)._repr_mimebundle_()

    def player(self, quiz: bool = False) -> Player:
        """The iteration that explains most, to be played line by line; in a notebook it shows
        itself. With `quiz` it asks before it shows.

        Raises:
            UserError: where the session was begun without ``film=True``, or no line ran in it.
        """
        from graphlab.api.player import Player, filmed, play

        trace, findings = self.trace, self.findings
        film = filmed(self, trace, findings)
        if film is None:
            raise UserError(
                "this session has no film to play", "begin it with graphlab.watch(film=True)"
            )
        return Player([play(trace, film, findings)], quiz)

    def save_html(self, path: str | Path, quiz: bool = False) -> str:
        """Write the player as a page of its own; returns the path."""
        return self.player(quiz).save(path)


def _drawn(one: finding.Finding) -> dict[str, str]:
    from graphlab.views.cell import bundle
    from graphlab.views.terminal.story import Story

    return bundle(Story(one))


finding.draw = _drawn


def watch(target: str = "<session>", targets: tuple[str, ...] = (), film: bool = False) -> Session:
    """Observe the body of a ``with`` block::

        with graphlab.watch() as session:
            train()
        session.assert_clean()

    The program's values, exceptions and random numbers are those of an unwatched run. `target`
    is what the session is called; `targets` are files and folders that count as the user's own
    even where they are installed. `film` also records every line, for ``session.player()``; that
    costs some tens of microseconds a line.
    """
    return Session(target, targets, film=film)
