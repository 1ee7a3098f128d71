"""Writes the player's page for `graphlab run --html` and `graphlab render -o x.html`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.output import files
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from graphlab.api.player import RecordedRun


def write(
    path: str,
    trace: Trace,
    film: Film | None,
    findings: Sequence[Finding],
    *,
    against: str | None,
    arguments: Sequence[str],
    quiz: bool,
    force: bool,
) -> None:
    """Write the page. `against` is another run to show beside it, with the script's `arguments`."""
    from graphlab.api.player import Player, played_run

    if film is None:
        raise no_film(trace)
    runs = [played_run(trace, film, findings)]
    if against is not None:
        runs.append(_other(against, arguments))
    files.write(path, Player(runs, quiz).html, force)


def no_film(trace: Trace) -> UserError:
    return UserError(
        message("usage.no_film", name=trace.target), message("usage.help.trace_with_film")
    )


def _other(target: str, arguments: Sequence[str]) -> RecordedRun:
    """The run to compare with: a saved one, or a program that is run with the same arguments, in a
    process of its own so that the first run cannot affect it."""
    if target.endswith(".json"):
        return saved_run(target)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "other.json")
        words = [sys.executable, "-m", "graphlab", "run", target, "--trace", path]
        ran = subprocess.run(
            [*words, "--", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace",
        )  # fmt: skip
        if not Path(path).exists():
            said = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
            why = said[-1].removeprefix("error: ") if said else f"exit code {ran.returncode}"
            raise UserError(
                message("usage.not_recorded", name=target, why=why),
                message("usage.help.its_output", command=f"graphlab run {target}"),
            )
        return saved_run(path)


def saved_run(path: str) -> RecordedRun:
    """The run that the trace in the file `path` holds, for the player."""
    from graphlab.api.player import played_run
    from graphlab.commands.saved import load
    from graphlab.rules.registry import find

    trace, film = load(path)
    if film is None:
        raise no_film(trace)
    return played_run(trace, film, find(trace))
