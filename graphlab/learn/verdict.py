"""The verdict on an attempt at an exercise, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from graphlab.learn.exercise import Exercise
from graphlab.learn.runner import Run
from graphlab.learn.silencers import Silencer, added
from graphlab.learn.trial import Held
from graphlab.rules.registry import find
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.report import report

SCHEMA = "graphlab.learn/1"
# How an attempt ended; "refused": it is not Python, "stopped": it took too long, "lost": its
# process ended without an answer.
Ended = Literal["completed", "raised", "refused", "stopped", "lost"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a file passes an exercise, and what it was judged by.

    findings: errors and warnings. silencers: what is popular for making an error go away and is in
    the file, but in the solution not; told only where the attempt failed. problem: why it could not
    be judged.
    """

    exercise: Exercise
    path: Path
    ended: Ended
    findings: tuple[Finding, ...]
    held: tuple[Held, ...]
    silencers: tuple[Silencer, ...]
    output: str
    seconds: float
    problem: str = ""
    trace: Trace | None = None

    @property
    def passed(self) -> bool:
        fulfilled = not self.findings and all(not each.why for each in self.held)
        return self.ended == "completed" and fulfilled


def judge(exercise: Exercise, path: Path, run: Run) -> Verdict:
    """The verdict on a run of the file at `path`."""
    tried = run.tried
    if tried is None or tried.trace is None:
        ended: Ended = "stopped" if run.timed_out else "lost" if tried is None else "refused"
        problem = tried.refused[0] if tried is not None and tried.refused else ""
        return Verdict(exercise, path, ended, (), (), (), run.output, run.seconds, problem)
    found = tuple(each for each in find(tried.trace) if each.severity != "info")
    completed = tried.exit_code == 0 and tried.trace.outcome == "completed"
    verdict = Verdict(
        exercise, path, "completed" if completed else "raised", found, tried.held,
        (), run.output, run.seconds, trace=tried.trace,
    )  # fmt: skip
    if verdict.passed:
        return verdict
    text = path.read_text(encoding="utf-8", errors="replace")
    usual = exercise.solution if exercise.solution is not None else ""
    return replace(verdict, silencers=tuple(added(text, usual)))


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The document ``graphlab.learn/1``, ready for `json.dumps`. Its texts are English."""
    seen = report(verdict.trace, list(verdict.findings)) if verdict.trace is not None else {}
    return {
        "schema": SCHEMA,
        "exercise": verdict.exercise.name,
        "file": str(verdict.path),
        "passed": verdict.passed,
        "outcome": verdict.ended,
        "problem": verdict.problem or None,
        "exception": seen.get("exception"),
        "findings": seen.get("findings", []),
        "assertions": [
            {
                "text": each.claim.text,
                "holds": not each.why,
                "why": str(each.why) or None,
                "evidence": [str(line) for line in each.evidence],
            }
            for each in verdict.held
        ],
        "silencers": [{"name": each.name, "line": each.line} for each in verdict.silencers],
        "optimizers": seen.get("optimizers", []),
        "seconds": round(verdict.seconds, 3),
        "output": verdict.output,
    }
