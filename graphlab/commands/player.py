"""Writes the player's page for `graphlab run --html` and `graphlab render -o x.html`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.errors import UserError
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
        f"{trace.target} has no recorded film: no line of it ran, or it was saved without one",
        "graphlab run TARGET --trace FILE saves one with it",
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
                f"{target} was not recorded: {why}",
                f"graphlab run {target} shows its output",
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
