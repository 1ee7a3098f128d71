"""The cases of one kind, plain or watched, and what became of each as a line of JSON.

python tests/slow/harmless.py plain capturing
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import Any

import torch
from outcomes import attempt, left_behind, surface

WATCHED = sys.argv[1] == "watched"
_sessions: list[Any] = []


def watch() -> Any:
    if not WATCHED:
        return contextlib.nullcontext()
    import graphlab

    session = graphlab.watch()
    _sessions.append(session)
    return session


def noticed() -> list[str]:
    """What the sessions of a case say against themselves."""
    found = [each for session in _sessions for each in session.trace.unseen]
    _sessions.clear()
    return found


def main(kind: str, only: str) -> None:
    torch.set_num_threads(1)
    if WATCHED:
        watch().start().stop()
        noticed()
    # Otherwise some warnings come once per process only.
    torch.set_warn_always(True)
    for name, label, case in importlib.import_module(kind).cases(watch):
        if only not in f"{name}, {label}":
            continue
        before = surface()
        outcome = attempt(case)
        notices = noticed()
        left = sorted(left_behind(before, surface()))
        say = {"name": name, "case": label, "outcome": outcome, "notices": notices, "left": left}
        print(json.dumps(say), file=_out, flush=True)


if __name__ == "__main__":
    # What the cases print is not ours.
    _out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    main(sys.argv[2], " ".join(sys.argv[3:]))
