"""Runs a TARGET of the command line under observation, for run and render."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.catalogue import Scenario, scenario, scenarios
from graphlab.errors import UserError
from graphlab.language import message
from graphlab.language.lists import suggestion

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation
    from graphlab.observe.program import Ran


def check_named(target: str) -> None:
    """Raises UserError where `target` is an option that graphlab does not have."""
    if target.startswith("-"):
        raise UserError(message("usage.no_option", word=target), message("usage.help.target_first"))


def resolve(target: str) -> Scenario | None:
    """The scenario of that name, or None for a file. A name without suffix and folder is taken for
    a scenario's, so that a misspelt one is answered with the nearest.

    Raises:
        UserError: for an unknown scenario or file.
    """
    check_named(target)
    looks_like_file = target.endswith(".py") or os.sep in target or os.path.isfile(target)
    if looks_like_file:
        if not os.path.exists(target):
            stem = os.path.splitext(os.path.basename(target))[0]
            check = message("usage.help.path")
            near = suggestion(stem, [each.name for each in scenarios()], check)
            raise UserError(message("usage.no_file", path=target), near)
        return None
    return scenario(target)


def shown_by(found: Scenario | None) -> list[str]:
    """The scenarios that show the repair of this one, a line each."""
    if found is None:
        return []
    titles = {each.name: each.shows for each in scenarios()}
    width = max((len(name) for name in found.repaired_by), default=0)
    return [f"{name:<{width}}  {titles[name]}" for name in found.repaired_by if name in titles]


def check_against(target: str) -> None:
    """Refuse an unknown `--against` before anything runs.

    Raises:
        UserError: for an unknown scenario or file.
    """
    if not target.endswith(".json"):
        resolve(target)
    elif not Path(target).is_file():
        raise UserError(message("usage.no_file", path=target), message("usage.help.make_trace"))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A program that has run under observation. `name` is what the report calls it."""

    name: str
    scenario: Scenario | None
    ran: Ran
    observation: Observation


def record(
    target: str,
    arguments: list[str],
    prepare: Callable[[Observation], None],
    *,
    is_module: bool = False,
    last: bool = False,
    shows_progress: bool = True,
) -> Recorded:
    """Run `target`; `prepare` is given the observation before it begins. `last` says that the
    process ends after that.

    Raises:
        UserError: for a target that cannot be run.
        Unreported: where the program ran and the observer failed.
    """
    found = None if is_module else resolve(target)

    with _no_collecting(last):
        from graphlab.commands.progress import Progress
        from graphlab.observe import program
        from graphlab.views import console

    if is_module:
        what = program.module(target)
    else:
        what = program.script(str(found.path) if found is not None else target)
    name = found.name if found is not None else target
    progress = Progress(console.stderr())
    begun: list[Observation] = []

    def started(observation: Observation) -> None:
        begun.append(observation)
        prepare(observation)
        if shows_progress:
            progress.start(observation)

    try:
        ran = program.run(what, arguments, name, started, last)
    finally:
        progress.stop()
    return Recorded(name, found, ran, begun[0])


@contextlib.contextmanager
def _no_collecting(last: bool) -> Iterator[None]:
    """Import torch and the observer without the garbage collector, which would look through what
    stays, time and again. With `last` it never does: the process ends with this program, and its
    collections, those while it imports the rest of torch above all, have half a million objects
    less to look through."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        if last:
            gc.freeze()
    finally:
        if was_enabled:
            gc.enable()
