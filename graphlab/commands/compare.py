"""graphlab compare: loops side by side, from one seed and over the same batches."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.catalogue import Scenario, read, scenario
from graphlab.errors import UserError
from graphlab.language import message
from graphlab.output import files

if TYPE_CHECKING:
    from graphlab.compare.measure import Script
    from graphlab.compare.workers import Task, Worker
    from graphlab.lab.options import Arguments
    from graphlab.trace.comparison import Comparison, Loop, Training

# The post's loops, each before its repair.
DEFAULT = (
    "naive", "naive-fused", "detach-as-printed", "detach", "recompute-as-printed", "recompute",
    "joint-as-printed", "joint", "joint-one-to-one", "joint-isolated",
)  # fmt: skip
# Compared iterations, unless --steps says otherwise: some three passes over the digits.
STEPS = 100
# The loops take turns at being timed: so many turns, each of so many iterations. They end before
# the first pass over the digits does, whose last batch is smaller than the others.
ROUNDS, TIMED = 10, 28
# Images of each loop that the figure shows.
SHOWN = 24
FIGURES = (".png", ".pdf", ".svg")


def compare(
    names: list[str],
    arguments: list[str],
    *,
    json_file: str | None = None,
    markdown_file: str | None = None,
    html_file: str | None = None,
    train: int | None = None,
    figure: str | None = None,
    seeds: int | None = None,
    force: bool = False,
) -> int:
    """Measure, then print and write. Returns 0, also where a loop raised: that is a result."""
    outputs = {
        "--json": json_file, "--markdown": markdown_file, "--html": html_file, "--figure": figure,
    }  # fmt: skip
    for each in outputs.values():
        files.check(each, force)
    files.distinct(outputs)
    if train is None and (figure is not None or seeds is not None):
        option = "--figure" if figure is not None else "--seeds"
        raise UserError(
            message("usage.compare.without_train", option=option),
            message("usage.compare.add_train"),
        )
    if figure is not None:
        _check_figure(figure)
    chosen = [_choose(name) for name in names or DEFAULT]
    options = _options(arguments)
    from graphlab.views import console
    from graphlab.views.comparison import tables

    with _status() as say:
        result = _measure(chosen, arguments, options, train, seeds or 1, say)
        drawn = None
        if figure is not None:
            say("drawing")
            from graphlab.views.comparison import plots

            drawn = plots.figure(result, Path(figure).suffix[1:].lower())
            files.write(figure, drawn, force)
    if json_file is not None:
        from graphlab.trace.comparison import document

        files.write(json_file, json.dumps(document(result), indent=2) + "\n", force)
    if markdown_file is not None:
        files.write(markdown_file, tables.markdown(result), force)
    if html_file is not None:
        suffix = Path(figure or "").suffix.lower()
        files.write(html_file, tables.html(result, drawn if suffix == ".png" else None), force)
    taken = "-" in (json_file, markdown_file, html_file)
    screen = console.stderr() if taken else console.stdout()
    console.emit(screen, tables.printed(result))
    return 0


def _check_figure(figure: str) -> None:
    """Refuse a figure that could not be written, before minutes of training."""
    if Path(figure).suffix.lower() not in FIGURES:
        raise UserError(
            message("usage.compare.figure_file", path=figure), message("usage.compare.png")
        )
    from graphlab.views.comparison import plots

    if not plots.available():
        raise UserError(message("usage.compare.no_matplotlib"), message("usage.compare.plots"))


def _choose(name: str) -> Scenario:
    if name.endswith(".py") or os.sep in name:
        return read(Path(name))
    return scenario(name)


def _options(arguments: list[str]) -> Arguments:
    """The arguments of the scenarios, checked.

    Raises:
        LabError: for a wrong one, or where the images are missing.
    """
    from graphlab import lab

    options = lab.arguments(argv=arguments)
    if options.samples is not None:
        raise UserError(message("usage.compare.samples"), message("usage.compare.see_images"))
    # Raises here, once, rather than in every worker.
    lab.batches(options)
    return options


@contextlib.contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done, in a terminal only."""
    from rich.text import Text

    from graphlab.views import console

    screen = console.stderr()
    if not screen.is_terminal:
        yield lambda text: None
        return
    with screen.status(Text("starting", "dim")) as status:
        yield lambda text: status.update(Text(text, "dim"))


def _measure(
    chosen: Sequence[Scenario],
    arguments: list[str],
    options: Arguments,
    train: int | None,
    seeds: int,
    say: Callable[[str], None],
) -> Comparison:
    from graphlab.compare import measure
    from graphlab.compare.workers import Task, perform, started
    from graphlab.observe.build_trace import environment
    from graphlab.trace.comparison import Comparison

    steps = options.steps or STEPS
    scripts = [_script(each, [*arguments, "--steps", str(steps)]) for each in chosen]
    # One at a time on a GPU, where they would share its memory.
    cores = os.cpu_count() or 1
    at_once = 1 if options.device.type == "cuda" else min(cores, len(scripts))
    with started([each.name for each in scripts], max(1, cores // at_once)) as workers:
        tasks = [
            Task(worker, measure.measure, (script,))
            for worker, script in zip(workers, scripts, strict=True)
        ]
        loops = perform(tasks, at_once, lambda task: say(f"running {task.worker.name}"))
        loops = _timed(workers, scripts, loops, say)
        training = None
        if train is not None:
            all_seeds = range(options.seed, options.seed + seeds)
            training = _trained(workers, chosen, arguments, options, train, all_seeds, at_once, say)
    return Comparison(
        loops=tuple(loops),
        steps=steps,
        seed=options.seed,
        device=options.device.type,
        torch=environment().torch,
        arguments=tuple(arguments),
        training=training,
    )


def _script(chosen: Scenario, arguments: list[str]) -> Script:
    from graphlab.compare.measure import Script

    return Script(chosen.name, chosen.shows, str(chosen.path), tuple(arguments), chosen.ranks)


def _timed(
    workers: Sequence[Worker],
    scripts: Sequence[Script],
    loops: Sequence[Loop],
    say: Callable[[str], None],
) -> list[Loop]:
    """The loops with the seconds that an iteration took; None for a loop that raised, and for one
    of several ranks, which would share the cores that another has for itself."""
    from graphlab.compare import measure
    from graphlab.compare.workers import Task, perform

    whole = [
        at for at, loop in enumerate(loops) if loop.forwards is not None and scripts[at].ranks == 1
    ]
    best: dict[int, float] = {}
    peaks: dict[int, int | None] = {}
    for number in range(ROUNDS):
        say(f"timing, round {number + 1} of {ROUNDS}")
        tasks = []
        for at in whole:
            words = (*scripts[at].arguments, "--steps", str(TIMED))
            script = dataclasses.replace(scripts[at], arguments=words)
            tasks.append(Task(workers[at], measure.time_once, (script,)))
        for at, timed in zip(whole, perform(tasks, 1, _quietly), strict=True):
            if timed.seconds is not None:
                best[at] = min(timed.seconds, best.get(at, timed.seconds))
            peaks[at] = timed.cuda_peak
    cheapest = min(best.values(), default=1.0)
    return [
        dataclasses.replace(
            loop,
            seconds=best.get(at),
            time_ratio=best[at] / cheapest if at in best else None,
            cuda_peak_bytes=peaks.get(at),
        )
        for at, loop in enumerate(loops)
    ]


def _trained(
    workers: Sequence[Worker],
    chosen: Sequence[Scenario],
    arguments: list[str],
    options: Arguments,
    epochs: int,
    seeds: range,
    at_once: int,
    say: Callable[[str], None],
) -> Training:
    from graphlab import lab
    from graphlab.compare import judging, measure, reference
    from graphlab.compare.workers import Task, perform
    from graphlab.trace import comparison

    words = [*_without(arguments, "--steps"), "--n-epochs", str(epochs)]
    tasks: list[Task] = []
    # Seed by seed, so that every worker has something to do until the end.
    for seed in seeds:
        for worker, each in zip(workers, chosen, strict=True):
            script = _script(each, [*words, "--seed", str(seed)])
            shown = SHOWN if seed == seeds[0] else 0
            tasks.append(Task(worker, measure.train, (script, seed, shown)))
    begun: list[Task] = []

    def began(task: Task) -> None:
        begun.append(task)
        say(f"training {task.worker.name}, {len(begun)} of {len(tasks)}")

    results = perform(tasks, at_once, began)
    loops = []
    for at, each in enumerate(chosen):
        mine = results[at :: len(chosen)]
        loops.append(comparison.LoopTraining(each.name, tuple(run for run, _ in mine), mine[0][1]))
    judged, drawn = judging.judge_real(judging.real_images(options), options.seed)
    guides = (
        ("all rated alike", reference.balance),
        ("least sum", reference.least_sum),
    )
    return comparison.Training(
        epochs=epochs,
        iterations_per_epoch=len(lab.batches(dataclasses.replace(options, steps=None))),
        seeds=tuple(seeds),
        loops=tuple(loops),
        real=comparison.ImageStatistics(
            judged.samples, judged.mean, judged.spread, judged.nearest, judged.distinct
        ),
        real_images=drawn[:SHOWN].tolist(),
        guides=tuple(
            comparison.KnownLoss(label, *values(options.batch_size)) for label, values in guides
        ),
    )


def _without(arguments: list[str], option: str) -> list[str]:
    """The words without `option` and its value."""
    kept: list[str] = []
    skip = False
    for word in arguments:
        if skip or word.startswith(f"{option}="):
            skip = False
        elif word == option:
            skip = True
        else:
            kept.append(word)
    return kept


def _quietly(task: Any) -> None:
    """No progress line: a timing takes too little time."""
