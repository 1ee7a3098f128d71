"""What runs in the process of a trial: ``python -m graphlab.fix.trial JOB``."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.errors import Unreported, UserError
from graphlab.fix.job import Answer, Job
from graphlab.language import message
from graphlab.trace.model import Trace

if TYPE_CHECKING:
    from graphlab.observe.observation import Observation


def main(path: str) -> None:
    try:
        job = Job.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        # Nobody waits for the answer any more.
        return
    rank = int(os.environ["RANK"]) if job.ranks > 1 else None
    if rank is not None:
        Path(job.pid_of(rank)).write_text(str(os.getpid()))
    # Neither is a trace of it to stay on disk, nor a trace on disk to be taken for the edited file.
    sys.dont_write_bytecode = True
    from graphlab.fix import overlay
    from graphlab.fix.leaving import end, end_with

    end_with(path, job.command, rank is not None)
    if job.is_module and job.target == "pytest":
        # pytest reads test files by itself where it rewrites their assertions.
        given = os.environ.get("PYTEST_ADDOPTS", "")
        os.environ["PYTEST_ADDOPTS"] = f"{given} --assert=plain -p no:cacheprovider".strip()
    _serve(job)
    if job.texts:
        overlay.hand_on(path)
    try:
        answer = _run(job, rank)
    except UserError as refused:
        answer = Answer(refused=(refused.message, refused.help), exit_code=2)
    except Unreported as lost:
        answer = Answer(refused=(str(lost), message("usage.help.report")), exit_code=2)
    except SystemExit:
        # A child that the program forked ends here.
        raise
    answer.write(job.answer_of(rank or 0))
    # The launcher ends the other ranks where one has failed.
    end(answer.exit_code if rank is not None and not answer.left else 0)


def spawned(path: str) -> None:
    """What a process that the program spawns does first."""
    sys.dont_write_bytecode = True
    # Nobody waits for the answer any more where the job is gone.
    with contextlib.suppress(FileNotFoundError):
        _serve(Job.loads(Path(path).read_text(encoding="utf-8")))


def _serve(job: Job) -> None:
    """Read the edited text in place of the files of the job."""
    from graphlab.fix import overlay
    from graphlab.fix.texts import sources

    texts: dict[str, bytes] = {}
    for name, text in job.texts.items():
        source = sources.read(name)
        texts[name] = source.encoded(text) if source is not None else text.encode()
    overlay.serve(texts)


def _run(job: Job, rank: int | None) -> Answer:
    from graphlab.fix.leaving import Leaving
    from graphlab.observe import program
    from graphlab.observe.film.choice import film_of
    from graphlab.ranks.spawned import SpawnedRanks
    from graphlab.ranks.termination import Termination
    from graphlab.rules.registry import find

    what = program.module(job.target) if job.is_module else program.script(job.target)
    if job.folder is not None:
        os.chdir(job.folder)
    begun: list[Observation] = []

    def answer(trace: Trace, exit_code: int) -> Answer:
        saved = begun[0].live_objects.saved_bytes
        return Answer(trace, exit_code, leaving.seconds, leaving.why, saved)

    def write(trace: Trace) -> None:
        answer(trace, 1).write(job.answer_of(rank or 0))

    leaving = Leaving(job, rank, what.code, write)
    endings: list[Termination] = []
    own_ranks: list[SpawnedRanks] = []

    def started(observation: Observation) -> None:
        begun.append(observation)
        if job.film:
            observation.keep_film()
        if job.look_from is not None:
            observation.numbers.look_from(job.look_from)
        leaving.start(observation)
        if rank is not None:
            endings.append(Termination(observation, write))
            endings[0].start()
        else:
            folder = Path(job.answer).parent
            own_ranks.append(SpawnedRanks(job.name, observation.files.targets, folder))
            own_ranks[0].start()

    ran = program.run(what, list(job.arguments), job.name, started, last=True)
    for each in endings:
        each.program_ended()
    answered = answer(ran.trace, ran.exit_code)
    for each in own_ranks:
        if leaving.why:
            each.end()
        answered = replace(answered, joint=each.joint())
    if not job.film:
        return answered
    # A trial that was left is no program that was interrupted: any iteration may be shown.
    trace = replace(ran.trace, exception=None) if leaving.why else ran.trace
    return replace(answered, film=film_of(begun[0], trace, find(trace)))


if __name__ == "__main__":
    main(sys.argv[1])
