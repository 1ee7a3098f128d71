"""Tells an onlooker, such as a film's recorder, of each line that a trace function is told of."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from graphlab.observe.hooks.line_tracer import Onlooker
from graphlab.source.files import UserFiles, user_frame


def watched(local: Callable[..., Any], onlooker: Onlooker, files: UserFiles) -> Callable[..., Any]:
    """A frame's trace function that does what `local` does, and tells the onlooker."""

    def on_line(frame: FrameType, event: str, arg: Any) -> Any:
        if event == "line":
            onlooker(frame, False)
        local(frame, event, arg)
        if event == "return":
            back = user_frame(frame.f_back, files)
            if back is not None:
                onlooker(back, True)
        return on_line

    return on_line
