"""graphlab run: a scenario, a script or a module under observation."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphlab.catalogue import scenarios
from graphlab.commands.player import no_film
from graphlab.commands.ranks.run import replay_ranks, report_spawned, run_as_rank, run_ranks
from graphlab.commands.recording import record, resolve, shown_by
from graphlab.commands.report import Asked, Report
from graphlab.commands.saved import load
from graphlab.errors import Unreported
from graphlab.language import told
from graphlab.observe.distributed.placement import placement
from graphlab.output import streams
from graphlab.ranks.launch import refuse_launcher
from graphlab.trace.film import Film
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation
    from graphlab.ranks.spawned import SpawnedRanks


def run(
    target: str,
    arguments: list[str],
    asked: Asked,
    *,
    is_module: bool = False,
    last: bool = False,
    ranks: int | None = None,
) -> int:
    """Run `target` and report. Returns the exit code: the program's own, 1 for a raise, 1 with
    `strict` where only a warning was found. `last` says that the process ends after that, `ranks`
    how many processes of it to start."""
    refuse_launcher(target, arguments, is_module)
    if ranks is not None:
        if not is_module:
            resolve(target)
        return run_ranks(target, arguments, asked, ranks, is_module, tell)
    place = placement()
    if place is not None:
        return run_as_rank(place, target, arguments, asked, is_module, last, tell)
    as_asked, asked = asked, asked.checked()
    spawned: list[SpawnedRanks] = []

    def prepare(observation: Observation) -> None:
        from graphlab.ranks.spawned import SpawnedRanks

        spawned.append(SpawnedRanks(target, observation.files.targets))
        spawned[0].start()
        if asked.films:
            observation.keep_film()
        if asked.nan_from is not None:
            observation.numbers.look_from(asked.nan_from)
        if asked.budget is not None:
            observation.keep_within(asked.budget)

    try:
        recorded = record(target, arguments, prepare, is_module=is_module, last=last)
    except Unreported as lost:
        tell([lost])
        return lost.exit_code
    finally:
        for each in spawned:
            each.stop()
    ran = recorded.ran
    for each in spawned:
        code = report_spawned(each, target, arguments, as_asked, is_module, ran.exit_code, tell)
        if code is not None:
            return code
    if ran.exit_code == 2 and not any(o.steps for o in ran.trace.optimizers):
        # A usage error of the script, which has printed its message: there is nothing to report.
        return 2
    words = ["-m", target] if is_module else [target]
    given = ["--", *arguments] if arguments else []
    again = f"run {shlex.join([*words, '--explain', *given])}"

    def closer(iteration: int) -> str:
        return f"graphlab run {shlex.join([*words, '--nan-from', str(iteration), *given])}"

    shown, follows = shown_by(recorded.scenario), recorded.scenario is None
    report = Report(
        ran.trace, asked, again, shown, tuple(arguments), closer=closer, follows=follows
    )
    if asked.films:
        with report.surviving("the film of the run"):
            report.film = _film(recorded.observation, ran.trace)
    report.show()
    tell(report.failures)
    return 1 if ran.exit_code == 0 and asked.strict and report.warned else ran.exit_code


def tell(failures: Sequence[Exception]) -> None:
    """Print a line on stderr for each. The exit code stays the program's."""
    for each in failures:
        if os.environ.get("GRAPHLAB_DEBUG") and each.__cause__ is not None:
            import traceback

            traceback.print_exception(each.__cause__)
        with contextlib.suppress(OSError):
            said = told(getattr(each, "message", str(each)))
            streams.line(f"error: {said}", streams.err())


def _film(session: Observation, trace: Trace) -> Film | None:
    from graphlab.api.player import film_of
    from graphlab.rules.registry import find

    return film_of(session, trace, find(trace))


def replay(path: str, asked: Asked) -> int:
    """Report on the trace in the file `path`. Returns 0, or 1 with `strict` and a warning.

    Raises:
        UserError: for a file that is not a trace, or one that cannot be written.
    """
    if os.path.isdir(path):
        return replay_ranks(path, asked)
    asked = asked.checked()
    trace, film = load(path)
    if asked.html_file is not None and film is None:
        raise no_film(trace)
    found = next((each for each in scenarios() if each.name == trace.target), None)
    again = f"run --from {shlex.quote(path)} --explain"
    report = Report(trace, asked, again, shown_by(found), film=film)
    report.show()
    for failure in report.failures:
        raise failure
    return 1 if asked.strict and report.warned else 0
