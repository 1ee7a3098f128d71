"""Reads where a node was made from the traceback that torch itself kept with it: under anomaly
detection, and while torch.compile traces a region whose lines no observer sees."""

from __future__ import annotations

import re
from types import FrameType
from typing import Any

from graphlab.source.files import UserFiles
from graphlab.source.places import line_place
from graphlab.trace.model import Location

_FRAME = re.compile(r'\s*File "(.+?)", line (\d+), in (.+)')
_COMPILERS = ("_dynamo", "_functorch", "_inductor")


def traced_line(node: Any, files: UserFiles) -> Location | None:
    """The user's innermost line in the traceback that is kept with a node."""
    found = None
    for entry in node.metadata.get("traceback_") or ():
        for line in str(entry).splitlines():
            place = _FRAME.match(line)
            if place is not None and place[1] in files:
                found = line_place(place[1], int(place[2]), place[3])
    return found


def compiling(frame: FrameType | None, files: UserFiles) -> bool:
    """Whether torch.compile's tracing calls `frame`, for the user's code above it."""
    while frame is not None and frame.f_code not in files:
        parts = frame.f_code.co_filename.replace("\\", "/").split("/")
        if "torch" in parts and any(each in parts for each in _COMPILERS):
            return True
        frame = frame.f_back
    return False
