"""A run of one process or of several ranks as one: its findings, and what is checked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graphlab.fix import checks
from graphlab.fix.job import Answer
from graphlab.language import message
from graphlab.ranks.compare import compared, same_steps
from graphlab.ranks.findings import find_in
from graphlab.ranks.parting import cut_off
from graphlab.rules.registry import find
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint, ranks_in_words
from graphlab.trace.ranks.sightings import DDP, RankStep, Wrapped
from graphlab.trace.repairs.model import Check

EQUAL = message("fix.check.equal")


def joined(answers: dict[int, Answer], world: int, exit_code: int) -> Answer:
    """The answers of those of `world` ranks that gave one, as that of the whole run; `exit_code` is
    the launcher's."""
    refused = next((each.refused for each in answers.values() if each.refused is not None), None)
    left = next((each.left for each in answers.values() if each.left == "time"), "")
    left = left or next((each.left for each in answers.values() if each.left), "")
    traces = {
        rank: _as_left(each.trace) if left == "iterations" else each.trace
        for rank, each in answers.items()
        if each.trace is not None
    }
    if refused is not None or not traces:
        return Answer(exit_code=exit_code, left=left, refused=refused)
    joint = compared(Joint(traces, world))
    saved = [each.saved_bytes for each in answers.values() if each.saved_bytes is not None]
    return Answer(
        joint.lead(), exit_code, max(each.seconds for each in answers.values()), left,
        max(saved, default=None), joint=joint,
    )  # fmt: skip


def _as_left(trace: Trace) -> Trace:
    """A rank that went far enough, and was then left, maybe as it waited for one that had gone."""
    gone = trace.outcome == "interrupted" or cut_off(trace)
    return replace(trace, outcome="completed", exception=None) if gone else trace


def findings(answer: Answer) -> list[Finding]:
    """Those of a run that left a trace."""
    if answer.joint is not None:
        return find_in(answer.joint)
    return find(answer.trace) if answer.trace is not None else []


def checked(before: Answer, after: Answer, found: Sequence[Finding], code: int) -> Iterator[Check]:
    """What is asked of a trial, `after`, that left a trace and ended with `code`."""
    assert before.trace is not None and after.trace is not None
    yield checks.clean(after.trace, found, code, after.left)
    if before.joint is None or after.joint is None:
        yield checks.nothing_silenced(before.trace, after.trace)
        yield checks.right_gradients(after.trace)
        return
    was, now = before.joint.traces, after.joint.traces
    if after.joint.missing:
        gone = ranks_in_words(after.joint.missing)
        yield Check(checks.GRADIENTS, None, message("ranks.left_no_trace", ranks=gone))
        return
    yield _on_each(
        {r: lambda r=r: checks.nothing_silenced(was[r], now[r]) for r in now if r in was}
    )
    yield _on_each({r: lambda r=r: checks.right_gradients(now[r]) for r in now})
    yield from _equal(after.joint)


def _on_each(asked: dict[int, Callable[[], Check]]) -> Check:
    """The least that holds on any rank."""
    answers = {rank: ask() for rank, ask in asked.items()}
    worst = min(answers, key=lambda rank: (False, None, True).index(answers[rank].holds))
    check = answers[worst]
    if check.holds:
        return check
    where = message("ranks.one", rank=worst)
    return replace(check, detail=message("fix.on_rank", where=where, what=check.detail))


def _equal(joint: Joint) -> Iterator[Check]:
    """Where a wrapper promises that the ranks hold the same parameters: that they do, at every step
    that was looked at on all of them."""
    promised = {
        trace.tensors[place].name
        for trace in joint.traces.values()
        for each in trace.sightings
        if isinstance(each, Wrapped) and each.kind == DDP
        for place in each.tensors
    }
    if not promised:
        return
    steps = 0
    for together in same_steps(joint):
        rows = [_values(joint.traces[rank], step) for rank, step in together.items()]
        apart = [
            name
            for name in rows[0]
            # An optimizer may have a part of the parameters on each rank.
            if name in promised and len({row[name] for row in rows if name in row}) > 1
        ]
        if apart:
            yield Check(EQUAL, False, message("fix.equal.apart", name=apart[0]))
            return
        steps += 1
    if steps < 2:
        # One step shows what was there before it, and not what it made.
        yield Check(EQUAL, None, message("fix.equal.unknown"))
        return
    yield Check(EQUAL, True, message("fix.equal.same", count=len(promised), steps=steps))


def _values(trace: Trace, step: RankStep) -> dict[str | None, tuple[str, str]]:
    """The checksums of each parameter and of the gradient that the step applied."""
    pairs = zip(step.tensors, step.values, step.gradients, strict=True)
    return {trace.tensors[at].name: (value, gradient) for at, value, gradient in pairs}
