"""graphlab run on several ranks: starts them, or is one of them, and makes one report of all."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.commands.ranks.report import JointReport, checked
from graphlab.commands.recording import record
from graphlab.commands.report import Asked
from graphlab.commands.saved import load
from graphlab.errors import Unreported, UserError
from graphlab.language import message
from graphlab.observe.distributed.placement import Placement
from graphlab.ranks.folder import RunFolder, folder_of_ranks, new_folder, traces_in
from graphlab.ranks.launch import launch, launched_by
from graphlab.ranks.survivor import leave_behind
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint

if TYPE_CHECKING:
    from graphlab.ranks.spawned import SpawnedRanks

Tell = Callable[[list[Exception]], None]


def run_ranks(
    target: str, arguments: list[str], asked: Asked, count: int, is_module: bool, tell: Tell
) -> int:
    """Start `count` ranks of `target` and report when all have ended. Returns the launcher's exit
    code, 1 with `strict` where only a warning was found.

    Raises:
        UserError: for options that cannot be met.
    """
    asked = checked(asked)
    words = [*(["-m"] if is_module else []), target, *(["--", *arguments] if arguments else [])]
    folder = new_folder()
    try:
        code = launch(folder, count, words)
        again = (
            f"graphlab run --nproc {count} {shlex.join(_explaining(target, arguments, is_module))}"
        )
        return _finish(folder, count, asked, again, code, tell)
    finally:
        folder.remove()


def run_as_rank(
    place: Placement,
    target: str,
    arguments: list[str],
    asked: Asked,
    is_module: bool,
    last: bool,
    tell: Tell,
) -> int:
    """Run `target` as one rank of several. The last of them to end on this machine reports, unless
    graphlab itself has launched them. Returns the program's exit code."""
    asked = checked(asked)
    try:
        folder = folder_of_ranks()
        folder.register(place)
    except OSError as error:
        why = error.strerror or error
        raise UserError(
            message("usage.nothing_shared", why=str(why)), message("usage.help.own_tmpdir")
        ) from None
    from graphlab.observe.observation import Observation
    from graphlab.ranks.termination import Termination

    explaining = shlex.join(_explaining(target, arguments, is_module))
    again = f"{launched_by()} -m graphlab run {explaining}"

    def leave(trace: Trace, code: int, all_started: bool) -> int:
        folder.write(place, trace)
        if folder.launched:
            return code
        if not folder.is_last(place, all_started):
            with contextlib.suppress(OSError):
                leave_behind(folder, asked.words())
            return code
        if not folder.claim():
            return code
        try:
            return _finish(folder, place.world, asked, again, code, tell)
        finally:
            folder.remove()

    endings: list[Termination] = []

    def prepare(observation: Observation) -> None:
        endings.append(Termination(observation, lambda trace: _quietly(leave, trace)))
        endings[0].start()

    try:
        recorded = record(
            target, arguments, prepare, is_module=is_module, last=last, shows_progress=False
        )
        for each in endings:
            each.program_ended()
        return leave(recorded.ran.trace, recorded.ran.exit_code, False)
    except Unreported as lost:
        tell([lost])
        return lost.exit_code
    finally:
        for each in endings:
            each.stop()


def report_spawned(
    spawned: SpawnedRanks,
    target: str,
    arguments: list[str],
    asked: Asked,
    is_module: bool,
    code: int,
    tell: Tell,
) -> int | None:
    """Report on the ranks that the program, which ended with `code`, has started itself. Returns
    the exit code; None where there were none.

    Raises:
        UserError: for options that cannot be met.
    """
    try:
        found = spawned.ranks()
        if found is None:
            return None
        again = f"graphlab run {shlex.join(_explaining(target, arguments, is_module))}"
        return _finish(*found, checked(asked), again, code, tell)
    finally:
        spawned.remove()


def _quietly(leave: Callable[[Trace, int, bool], int], trace: Trace) -> None:
    leave(trace, 1, True)


def _explaining(target: str, arguments: list[str], is_module: bool) -> list[str]:
    words = [*(["-m"] if is_module else []), target, "--explain"]
    return [*words, *(["--", *arguments] if arguments else [])]


def _finish(folder: RunFolder, world: int, asked: Asked, again: str, code: int, tell: Tell) -> int:
    """Report on the traces in `folder`, of a run that ended with `code`."""
    traces = {rank: load(str(path))[0] for rank, path in traces_in(folder.path).items()}
    if not traces:
        if code == 0 or code == 2:
            return code
        tell([UserError("no rank has left a trace", "their own output says why")])
        return code
    if code == 2 and not any(o.steps for trace in traces.values() for o in trace.optimizers):
        return 2
    report = JointReport(Joint(traces, max(world, *traces)), asked, again, follows=True)
    report.show()
    tell(list(report.failures))
    return 1 if code == 0 and asked.strict and report.warned else code


def replay_ranks(path: str, asked: Asked) -> int:
    """Report on the traces in the folder `path`. Returns 0, or 1 with `strict` and a warning.

    Raises:
        UserError: for a folder without traces, or an output that cannot be written.
    """
    asked = checked(asked)
    traces = {rank: load(str(each))[0] for rank, each in traces_in(Path(path)).items()}
    if not traces:
        raise UserError(message("usage.no_traces", path=path), message("usage.help.make_traces"))
    world = max(max(trace.environment.world or 0 for trace in traces.values()), max(traces) + 1)
    again = f"graphlab run --from {shlex.quote(path)} --explain"
    report = JointReport(Joint(traces, world), asked, again)
    report.show()
    for failure in report.failures:
        raise failure
    return 1 if asked.strict and report.warned else 0
