"""`graphlab.watch()`: the observer's session, with the findings and the assertions of a test."""

from __future__ import annotations

from types import FrameType

from graphlab.assertions import Assertions


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
    ) -> None:
        super().__init__(target, targets)
        self.gives_way = gives_way
        self._again = target, targets, gives_way
        self._begun = False

    def start(self, frame: FrameType | None = None) -> Session:
        """Begin to observe. Raises RuntimeError when a session is open that does not give way."""
        if self._begun and self._trace is None and self.gives_way:
            self.stop()
        if self._trace is not None:
            self.__init__(*self._again)
        super().start(frame)
        self._begun = True
        return self

    def __enter__(self) -> Session:
        super().__enter__()
        return self


def watch(target: str = "<session>", targets: tuple[str, ...] = ()) -> Session:
    """Observe the body of a ``with`` block::

        with graphlab.watch() as session:
            train()
        session.assert_clean()

    The program's values, exceptions and random numbers are those of an unwatched run. `target`
    is what the session is called; `targets` are files and folders that count as the user's own
    even where they are installed.
    """
    return Session(target, targets)
