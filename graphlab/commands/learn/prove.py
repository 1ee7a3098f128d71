"""Proves an exercise: broken it fails as stated, its solution passes, popular repairs do not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from graphlab.language import current, say, told
from graphlab.learn.exercise import SOLUTION, fault, load, translations
from graphlab.learn.popular import popular
from graphlab.learn.runner import running
from graphlab.learn.verdict import Verdict, judge
from graphlab.rules.expected import mismatch


@dataclass(frozen=True, slots=True)
class Proof:
    """One of the runs: what was run, what came of it, and whether that is wrong."""

    label: str
    said: str
    wrong: bool


def proofs(path: Path) -> Iterator[Proof]:
    """Run the exercise in the script at `path`, its solution, and the popular repairs of it, and
    read its header in other languages.

    Raises:
        UserError: for a header that cannot be read.
    """
    exercise = load(path, current())
    with running() as runner:
        broken = judge(exercise, path, runner.run(exercise, path))
        expected = exercise.expectation
        wrong = mismatch(expected, list(broken.findings)) if expected is not None else None
        wrong = say("learn.prove.passes_broken") if broken.passed else wrong and told(wrong)
        yield Proof(say("learn.prove.broken"), wrong or _why(broken), wrong is not None)
        solution = path.with_name(path.stem + SOLUTION)
        if solution.is_file():
            mended = judge(exercise, solution, runner.run(exercise, solution))
            yield Proof(say("learn.prove.solution"), _why(mended), not mended.passed)
        else:
            missing = say("learn.prove.no_solution", file=solution.name)
            yield Proof(say("learn.prove.solution"), missing, True)
        with tempfile.TemporaryDirectory() as folder:
            for name, source in popular(exercise.source).items():
                attempt = Path(folder, path.name)
                attempt.write_text(source, encoding="utf-8")
                found = judge(exercise, attempt, runner.run(exercise, attempt))
                yield Proof(name, _why(found), found.passed)
    for language in translations(path):
        problem = fault(path, language)
        if problem is not None:
            yield Proof(f".{language}.txt", problem, True)


def _why(verdict: Verdict) -> str:
    """In a few words why an attempt fails, or that it passes."""
    if verdict.passed:
        return say("learn.prove.passes")
    if verdict.findings:
        first = verdict.findings[0]
        if first.failed is None:
            return say("learn.prove.found", finding=first.code)
        return say("learn.prove.found_at", code=first.code, call=first.failed.what)
    missed = [each for each in verdict.held if each.why]
    if verdict.ended == "completed" and missed:
        return say("learn.prove.missed", claim=missed[0].claim.told(), why=told(missed[0].why))
    return verdict.problem or say("learn.prove.ended", last=_last(verdict.output))


def _last(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else ""
