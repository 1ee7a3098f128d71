"""Measures one loop by running it once for each kind of measurement, in a worker process.

Every run has the same arguments and so the same seed. Only the first is observed, so that the
observer does not disturb the other measurements.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import runpy
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphlab.compare import costs, reference
from graphlab.compare.onlooker import Onlooker, attended
from graphlab.compare.other_ranks import other_ranks
from graphlab.compare.training import Training
from graphlab.errors import UserError
from graphlab.language import message
from graphlab.observe import program
from graphlab.observe.observation import Observation
from graphlab.rules.registry import find
from graphlab.rules.steps import own_losses
from graphlab.trace import comparison
from graphlab.trace.model import Backward, Step, Trace

# Iterations. A Trace keeps the last two thousand events, about ten an iteration.
READ_EVERY = 100


@dataclass(frozen=True, slots=True)
class Script:
    """What to run: the loop's name, its lesson, its file, the arguments that it gets, and as how
    many ranks; the first of these is measured."""

    name: str
    lesson: str
    path: str
    arguments: tuple[str, ...]
    ranks: int = 1


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds an iteration, and bytes held on the GPU at most; None where not measured."""

    seconds: float | None
    cuda_peak: int | None


def measure(script: Script) -> comparison.Loop:
    """Run the loop under observation, then beside the reference, then counting saved bytes.

    Raises:
        UserError: for a script without iterations, or one that ends with another exit code.
    """
    watched, trace = _watched(script, Onlooker())
    beside = reference.Reference()
    raised = _alone(script, beside)
    if raised is not None:
        beside.interrupted()
    if not beside.iterations:
        raise UserError(
            message("usage.compare.no_iteration", name=script.name), message("usage.compare.lab")
        )
    loop = comparison.Loop(
        name=script.name,
        lesson=script.lesson,
        outcome=trace.outcome,
        exception=trace.exception.type if trace.exception is not None else None,
        findings=tuple(
            comparison.FindingSummary(each.code, each.severity, each.summary, each.iteration)
            for each in find(trace)
        ),
        iterations=tuple(_iteration(each) for each in beside.iterations),
    )
    if raised is not None or watched != 0:
        return loop
    ended = [each.forwards for each in beside.iterations]
    saved = costs.SavedBytes()
    with saved.counting():
        _alone(script, saved)
    return dataclasses.replace(
        loop,
        forwards={
            role: sum(each.get(role, 0) for each in ended) / len(ended) for role in reference.ROLES
        },
        backwards=_backwards(trace),
        saved_bytes=saved.peak,
    )


def time_once(script: Script) -> Timed:
    """One timing of the loop, with nothing else going on in this process."""
    clock = costs.Clock()
    _alone(script, clock)
    return Timed(clock.seconds, clock.cuda_peak)


def train(script: Script, seed: int, images: int) -> tuple[comparison.Run, list[comparison.Image]]:
    """Run a whole training under observation. Returns it, and `images` images of the trained G."""
    sessions: list[Observation] = []
    steps: dict[int, comparison.AppliedGradient] = {}

    def read_steps(ended: int) -> None:
        if ended % READ_EVERY == 0:
            _applied(sessions[0].trace, training, steps)

    training = Training(read_steps)
    _, trace = _watched(script, training, sessions.append)
    _applied(trace, training, steps)
    judged, made = training.judge()
    run = comparison.Run(
        seed=seed,
        exception=trace.exception.type if trace.exception is not None else None,
        iterations=training.iterations,
        judged=comparison.ImageStatistics(
            judged.samples, judged.mean, judged.spread, judged.nearest, judged.distinct
        ),
        losses=tuple(
            comparison.Losses(each.iterations, each.D_loss_, each.G_loss_)
            for each in training.losses()
        ),
        applied=tuple(steps[iteration] for iteration in sorted(steps)),
    )
    return run, made[:images].tolist()


def _watched(
    script: Script, onlooker: Onlooker, started: Callable[[Observation], None] | None = None
) -> tuple[int, Trace]:
    output = io.StringIO()
    with (
        other_ranks(script.path, script.arguments, script.ranks),
        attended(onlooker),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        what = program.script(script.path)
        ran = program.run(what, list(script.arguments), script.name, started)
    if ran.exit_code not in (0, 1):
        said = output.getvalue().strip().splitlines()
        raise UserError(
            message(
                "usage.compare.ended",
                name=script.name,
                code=ran.exit_code,
                said=said[0] if said else "",
            ),
            message("usage.help.its_output", command=f"graphlab run {script.name}"),
        )
    return ran.exit_code, ran.trace


def _alone(script: Script, onlooker: Onlooker) -> Exception | None:
    """Run the script as Python would, unobserved. Returns what it raised, or None."""
    with (
        other_ranks(script.path, script.arguments, script.ranks),
        attended(onlooker),
        _arguments(script),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            runpy.run_path(script.path, run_name="__main__")
        except Exception as error:
            return error
    return None


@contextlib.contextmanager
def _arguments(script: Script) -> Iterator[None]:
    kept = sys.argv
    sys.argv = [script.path, *script.arguments]
    try:
        yield
    finally:
        sys.argv = kept


def _iteration(each: reference.Iteration) -> comparison.Iteration:
    return comparison.Iteration(
        each.completed, *(_turn(each.turns[role]) for role in reference.ROLES)
    )


def _turn(turn: reference.Turn) -> comparison.Turn:
    return comparison.Turn(turn.steps, turn.changed, _beside(turn.update), _beside(turn.gradient))


def _beside(deviation: reference.Deviation | None) -> comparison.VectorDifference | None:
    if deviation is None:
        return None
    return comparison.VectorDifference(deviation.relative_error, deviation.cosine)


def _backwards(trace: Trace) -> float | None:
    """Backward passes an iteration, over the iterations that the Trace holds completely."""
    numbers = [each.iteration for each in trace.events if isinstance(each, Backward)]
    there = [number for number in numbers if number is not None]
    if not there:
        return None
    whole = [number for number in there if number > min(there) or number == 0]
    return len(whole) / len(set(whole)) if whole else None


def _applied(trace: Trace, training: Training, into: dict[int, comparison.AppliedGradient]) -> None:
    """Add to `into` which losses the sampled steps of G's optimizer applied."""
    own = own_losses(trace)
    for event in trace.events:
        if not isinstance(event, Step) or event.mix is None or event.iteration is None:
            continue
        if training.owners[event.optimizer : event.optimizer + 1] != ["G"]:
            continue
        loss = own.get(event.optimizer)
        shares = event.mix.shares
        mine = next((each for each in shares if each.loss == loss), None)
        if mine is not None:
            foreign = sum(each.share for each in shares if each.loss != loss)
            into[event.iteration] = comparison.AppliedGradient(
                event.iteration, foreign, mine.cosine_to_total
            )
