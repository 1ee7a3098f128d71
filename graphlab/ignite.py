"""A handler for ignite that watches what an engine trains."""

from __future__ import annotations

import sys
from typing import Any

from ignite.engine import Events  # pyright: ignore

from graphlab.api.fitting import Fitting


class Handler:
    """``graphlab.ignite.Handler().attach(trainer)``: each finding is a line of the engine's log,
    with its iteration, counted from 0, and the story follows when the run has ended. One that
    raised has ended for it only with the program: an engine whose exceptions are handled raises
    them no more.

    `story`: whether it does. ``fitting.session`` is the session of the last run.
    """

    def __init__(self, story: bool = True) -> None:
        self.fitting: Fitting | None = None
        self._story = story

    def attach(self, engine: Any) -> None:
        """Watch each run of `engine` from now on."""
        fitting = self.fitting = Fitting(engine.logger, self._story)

        def started(engine: Any) -> None:
            fitting.begin(sys._getframe(1), "Engine.run")

        def step_begins(engine: Any) -> None:
            fitting.step_begins(engine.state.iteration - 1)

        engine.add_event_handler(Events.STARTED, started)
        engine.add_event_handler(Events.ITERATION_STARTED, step_begins)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: fitting.step_ended())
        for event in (Events.COMPLETED, Events.TERMINATE):
            engine.add_event_handler(event, lambda _: fitting.end())
