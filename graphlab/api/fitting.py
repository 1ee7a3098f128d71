"""What the callbacks for frameworks share: a session that lasts as long as a training."""

from __future__ import annotations

import atexit
import logging
import sys
from types import FrameType
from typing import TYPE_CHECKING

from graphlab.api.session import Session
from graphlab.text import one_line
from graphlab.trace.finding import Finding
from graphlab.views import console
from graphlab.views.machine.lines import place_of
from graphlab.views.terminal import report

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation

_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


class Fitting:
    """Observes one training, or several one after the other; `session` is the last one's.

    A finding is one line in `logger`, once it is there: what was seen is judged after the steps 2,
    4, 8, 16 and so on, and at the end. `story`: whether it is then told in full on stdout. Where
    another session is open, as under ``graphlab run``, that tells it all, by the same steps.
    """

    def __init__(self, logger: logging.Logger, story: bool) -> None:
        self.session: Session | None = None
        self._logger, self._story = logger, story
        self._open = False
        # The observation around the training, where there is one already.
        self._around: Observation | None = None
        self._told: set[tuple[str, str]] = set()
        self._due = self._done = 0

    def begin(self, frame: FrameType | None, target: str) -> None:
        """The training begins, in a call of `frame`."""
        from graphlab.observe.process_state import PROCESS

        if self._open or PROCESS.active is not None:
            self._around = PROCESS.active if not self._open else None
            return
        self._open, self._told = True, set()
        self._due, self._done = 2, 0
        self.session = Session(target)
        # A framework may have no event for a training that raised.
        atexit.register(self.end)
        self.session.start(frame)

    def step_begins(self, number: int) -> None:
        """The framework begins its step `number`, which becomes the iteration of what follows."""
        if self._open and self.session is not None:
            self.session.number(number)
        elif self._around is not None:
            self._around.iterations.given = number

    def step_ended(self) -> None:
        """Judge what was seen, if it is time to."""
        self._done += 1
        if self._open and self._done == self._due:
            self._due *= 2
            self._tell()

    def end(self, error: BaseException | None = None) -> None:
        """The training has ended, by `error` if there was one. Safe to call twice."""
        if self._around is not None:
            self._around.iterations.given = self._around = None
        if not self._open or self.session is None:
            return
        self._open = False
        atexit.unregister(self.end)
        self.session.stop(error or getattr(sys, "last_value", None), sys._getframe())
        findings = self._tell()
        if self._story and findings is not None:
            console.emit(console.stdout(), report.full(self.session.trace, findings, []))

    def _tell(self) -> list[Finding] | None:
        """Log what is new. An error of graphlab's own must not end the training."""
        assert self.session is not None
        try:
            findings = self.session.findings
        except Exception as error:
            self._logger.warning("internal error in graphlab: %r", error)
            return None
        for each in findings:
            at = place_of(each)
            # A finding's numbers change from one look to the next, its place does not.
            key = each.code, f"{at.file}:{at.line}" if at is not None else each.summary
            if key not in self._told:
                self._told.add(key)
                where = f" ({at.file}:{at.line})" if at is not None else ""
                when = f"step {each.iteration}: " if each.iteration is not None else ""
                said = one_line(f"{when}{each.severity}[{each.code}]: {each.summary}{where}")
                self._logger.log(_LEVELS[each.severity], "%s", said)
        return findings
