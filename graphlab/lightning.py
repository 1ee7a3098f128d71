"""A callback for Lightning that watches what its trainer trains."""

from __future__ import annotations

import logging
import sys
from typing import Any

from lightning.pytorch import Callback as _Callback  # pyright: ignore

from graphlab.api.fitting import Fitting


class Callback(_Callback):
    """``Trainer(callbacks=[graphlab.lightning.Callback()])``: each finding is a line of Lightning's
    log, with the trainer's ``global_step``, and the story follows when the fit has ended.

    `story`: whether it does. ``fitting.session`` is the session of the last fit, with its findings.
    """

    def __init__(self, story: bool = True) -> None:
        self.fitting = Fitting(logging.getLogger("lightning.pytorch.graphlab"), story)

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self.fitting.begin(sys._getframe(1), "Lightning's fit")

    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        self.fitting.step_begins(trainer.global_step)

    def on_train_batch_end(self, *_: Any) -> None:
        self.fitting.step_ended()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.fitting.end(exception)

    def on_fit_end(self, *_: Any) -> None:
        self.fitting.end()
