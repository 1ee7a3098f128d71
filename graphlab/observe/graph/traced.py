"""Reads where a node was made from the traceback that torch itself kept with it: under anomaly
detection, and while torch.compile traces a region whose lines no observer sees."""

from __future__ import annotations

import re
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import operation
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


def went_on(node: Any, nodes: list[Any], files: UserFiles) -> tuple[Any, Location, str] | None:
    """In a compiled region no write is seen: of a stale result, the writer is the only operation
    that went on from it. Its node and line, and what it is called."""
    users = [each for each in nodes if any(parent is node for parent, _ in each.next_functions)]
    at = traced_line(users[0], files) if len(users) == 1 else None
    if at is None:
        return None
    name = re.sub(r"Backward\d*$", "", operation(users[0]))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return users[0], at, f"torch.{name}_"


def compiling(frame: FrameType | None, files: UserFiles) -> bool:
    """Whether torch.compile's tracing calls `frame`, for the user's code above it."""
    while frame is not None and frame.f_code not in files:
        if _compiler(frame):
            return True
        frame = frame.f_back
    return False


def compiled_in(frames: list[FrameType], files: UserFiles) -> bool:
    """The same of the frames of a traceback, outermost first."""
    for frame in reversed(frames):
        if frame.f_code in files:
            return False
        if _compiler(frame):
            return True
    return False


def _compiler(frame: FrameType) -> bool:
    parts = frame.f_code.co_filename.replace("\\", "/").split("/")
    return "torch" in parts and any(each in parts for each in _COMPILERS)
