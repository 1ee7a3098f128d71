"""The player that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from graphlab.observe.film.choice import film_of, moment_of
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.views.player.page import RecordedRun, page

__all__ = ["Player", "film_of", "moment_of", "played_run"]

# The height of a player in a notebook, as CSS.
HEIGHT = "46rem"


class Player:
    """A recorded iteration, played line by line. In a notebook it shows itself; `save` writes it.

    `runs` are one run, or several to compare; with `quiz` the page asks before it shows.
    `timeout` is in seconds, for the layout of each graph.
    """

    def __init__(
        self, runs: Sequence[RecordedRun], quiz: bool = False, timeout: float = 20.0
    ) -> None:
        self.runs = tuple(runs)
        self._quiz, self._timeout = quiz, timeout
        self._html: str | None = None

    @property
    def html(self) -> str:
        """The whole page. It loads nothing from elsewhere."""
        if self._html is None:
            self._html = page(self.runs, quiz=self._quiz, timeout=self._timeout)
        return self._html

    def save(self, path: str | Path, force: bool = True) -> str:
        """Write the page; returns the path.

        Raises:
            UserError: for a file that cannot be written, or that exists when `force` is off.
        """
        from graphlab.output import files

        files.check(str(path), force)
        files.write(str(path), self.html, force)
        return str(path)

    def _repr_html_(self) -> str:
        # In a frame, so that the notebook's style does not apply to it.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="graphlab, step by step" '
            f'style="width: 100%; height: {HEIGHT}; border: 0"></iframe>'
        )

    def __repr__(self) -> str:
        names = ", ".join(each.trace.target for each in self.runs)
        return f"<graphlab.Player of {names}>"


def played_run(trace: Trace, film: Film, findings: Sequence[Finding]) -> RecordedRun:
    """A run with its findings, and the reason on each rule's page why they are bad."""
    from graphlab.rules.pages import why

    return RecordedRun(
        trace, film, tuple(findings), {each.code: why(each.code) for each in findings}
    )
