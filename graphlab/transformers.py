"""A callback for transformers' Trainer that watches what it trains."""

from __future__ import annotations

import logging
import sys
from typing import Any

from transformers import TrainerCallback  # pyright: ignore

from graphlab.api.fitting import Fitting


class Callback(TrainerCallback):  # pyright: ignore
    """``Trainer(callbacks=[graphlab.transformers.Callback()])``: each finding is a line of the log
    of transformers, with the trainer's ``global_step``, and the story follows when the training has
    ended. One that raised has ended for the Trainer's callbacks only with the program.

    `story`: whether it does. ``fitting.session`` is the session of the last training.
    """

    def __init__(self, story: bool = True) -> None:
        self.fitting = Fitting(logging.getLogger("transformers.graphlab"), story)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.fitting.begin(sys._getframe(1), "Trainer.train")

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.fitting.step_begins(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.fitting.step_ended()

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.fitting.end()
