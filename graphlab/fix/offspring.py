"""Ends what a trial has started, also what has left the group of its process."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

# Whatever a trial starts inherits this variable, which holds the path of its job.
VARIABLE = "GRAPHLAB_TRIAL"
# How often what is there is looked for, since it may be starting more, and seconds in between.
_ROUNDS, _PAUSE = 50, 0.01


def end_group(group: int) -> None:
    """End a group of processes, 0 for this one's own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_started(job: str) -> None:
    """End whatever the trial of the job at this path has started, but for this process. Where the
    system does not tell the variables of a process, as Linux does, there is only its group."""
    for _ in range(_ROUNDS):
        found = [*_started(job)]
        if not found:
            return
        for each in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        time.sleep(_PAUSE)


def _started(job: str) -> Iterator[int]:
    told = b"\0" + os.fsencode(f"{VARIABLE}={job}") + b"\0"
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for each in names:
        if not each.isdigit() or int(each) == os.getpid():
            continue
        # Those of other users are none.
        with contextlib.suppress(OSError), open(f"/proc/{each}/environ", "rb") as file:
            if told in b"\0" + file.read():
                yield int(each)
