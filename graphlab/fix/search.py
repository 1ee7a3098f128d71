"""Tries the repairs that findings offer, and on top of one that helped, those of what is left."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from graphlab.errors import UserError
from graphlab.fix import checks, on_ranks
from graphlab.fix.job import Answer, Job
from graphlab.fix.processes import Processes
from graphlab.fix.texts import sources
from graphlab.fix.texts.one_a_line import one_a_line, shared_again
from graphlab.fix.texts.sources import Source
from graphlab.fix.tried import Trial, cuts_off, helped, settle
from graphlab.language import Message, key_of, message
from graphlab.rules.gl101_mixed_gradients import mixed_at_all
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Location, Module, Step, Trace
from graphlab.trace.repairs.model import Candidate, Check, Cost, Repairs
from graphlab.trace.sightings import NonFinite

# How many repairs are put one on top of the other, how many are tried at a time, and in all.
DEPTH, WIDTH, TRIALS = 4, 6, 20
# The rules about parameters that no optimizer holds, about graphs that were freed, about gradients
# that nobody uses, and about two names of one network.
_UNHELD, _FREED, _WASTED, _ONE_NETWORK = "GL103", "GL002", "GL108", "GL121"
_AGAIN = ("repairs.loops.recompute", "repairs.loops.recompute_many")
_KEPT, _LATER = "retain_graph=True", 16
# A trial goes on for this long, in seconds, although it has run far enough: a short program runs
# to its end.
_AT_LEAST = 5.0
# Its limit: so many times what the program took as it was, and so many seconds more.
_TIMES, _MORE = 2.0, 10.0


class Listener(Protocol):
    """Is told how far the search is."""

    def trying(self, at: int, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be mended, and how far trials go: `steps` iterations beyond the failing one."""

    target: str
    name: str
    is_module: bool
    arguments: tuple[str, ...]
    steps: int = 3
    limit: float | None = None
    scratch: Callable[[], str] | None = None
    ranks: int = 1


class Search:
    """The trials of one command, in `processes`."""

    def __init__(self, asked: Asked, processes: Processes, listener: Listener) -> None:
        self._asked, self._processes, self._listener = asked, processes, listener
        self.originals: dict[str, Source] = {}
        self._seen: set[tuple[tuple[str, str], ...]] = set()
        self._trials: list[Trial] = []
        self._first: list[Finding] = []
        # What became of lines with several statements, in each file that has been given one each.
        self._parted: dict[str, dict[str, str]] = {}
        self._before: Answer = Answer()
        # The text of every file as each candidate has it, by the candidate's place.
        self.texts: list[dict[str, str]] = []

    def run(self) -> Repairs:
        """Run the program as it is, and then its repairs.

        Raises:
            UserError: for a program that cannot be run.
        """
        asked = self._asked
        self._before = self._processes.run(self._job({}, None, asked.limit))
        before = self._before
        if before.refused is not None:
            raise UserError(*before.refused)
        if before.trace is None:
            raise UserError(
                message("fix.refused.nothing_left", name=asked.name, code=before.exit_code),
                message("fix.do.see_print"),
            )
        again = self._job({}, None, asked.limit)
        self._before = before = self._looked_into(before, before.trace, again)
        assert before.trace is not None
        first = Trial({}, trace=before.trace, findings=on_ranks.findings(before))
        self._first = first.findings
        if first.problems:
            self._search(first)
            apart = self._one_a_line(first) if not self._proved() else None
            if apart is not None:
                self._search(apart)
        return self._repairs(first)

    def _proved(self) -> bool:
        return any(each.verdict == "proved" for each in self._trials)

    def _one_a_line(self, first: Trial) -> Trial | None:
        """The program as it is with a line for each statement, as repairs need it; None where it
        has that, in the files that the problems are in."""
        texts = dict[str, str]()
        for file in {each.file for one in first.problems for each in _places(one)}:
            path = os.path.realpath(file)
            source = self.originals.get(path) or sources.read(path)
            new, became = one_a_line(source.text) if source is not None else ("", {})
            if source is not None and became:
                self.originals[path], texts[path] = source, new
                self._parted[path] = became
        if not texts:
            return None
        answer = self._processes.run(self._job(texts, None, self._limit()))
        if answer.trace is None:
            return None
        return Trial(texts, trace=answer.trace, findings=on_ranks.findings(answer))

    def _looked_into(self, before: Answer, trace: Trace, job: Job) -> Answer:
        """The `job` run once more, to tell which operation made the first NaN; as it went before
        where that tells no more. Trials are given the time that the first run took."""
        ahead = [each.look_from for each in trace.sightings if isinstance(each, NonFinite)]
        if not ahead or ahead[0] is None:
            return before
        again = self._processes.run(replace(job, look_from=ahead[0]))
        told = again.trace is not None and any(
            isinstance(each, NonFinite) and each.operation for each in again.trace.sightings
        )
        return replace(again, seconds=before.seconds) if told else before

    def filmed(self, chosen: int | None) -> list[Answer]:
        """The program run as it is, and with the repair at `chosen`, each with its film."""
        before = self._before.trace
        assert before is not None
        jobs = [replace(self._job({}, None, self._asked.limit), film=True)]
        if chosen is not None:
            until, limit = _until(before, self._asked.steps), self._limit()
            jobs.append(replace(self._job(self.texts[chosen], until, limit), film=True))
        return [answer for _, answer in sorted(self._processes.run_all(jobs), key=lambda e: e[0])]

    def _search(self, first: Trial) -> None:
        grown = [first]
        for _ in range(DEPTH):
            wave = list(self._next(grown))[: min(WIDTH, TRIALS - len(self._trials))]
            if not wave:
                break
            for part in self._parts(wave):
                self._try(part)
                if any(each.verdict == "proved" for each in part):
                    return
            better = [each for each in wave if each.trace is not None and helped(each)]
            # What has fewer problems left goes first. Where no repair of the first finding helped,
            # it may come from another one.
            grown = [*sorted(better, key=lambda each: len(each.problems)), *grown]

    def _parts(self, wave: list[Trial]) -> list[list[Trial]]:
        """What is tried together. Ranks run alone and take long: once a repair of theirs is proved
        the next are not tried, but where they are to tell which one is meant."""
        is_joint = self._before.joint is not None
        return [[e] for e in wave] if is_joint and not any(e.choices for e in wave) else [wave]

    def _next(self, grown: Sequence[Trial]) -> Iterator[Trial]:
        for base in grown:
            problems = base.problems or _mixed(base) or _of_one_network(base)
            for finding in sorted(problems, key=lambda each: each.severity != "error"):
                offered = _in_order(finding, base.trace)
                made = [each for help in offered if (each := self._on(base, finding, help))]
                yield from made
                if made:
                    # One finding after the other: the next may be gone with this one.
                    break

    def _on(self, base: Trial, finding: Finding, help: Help) -> Trial | None:
        texts = sources.applied(help, base.texts)
        if texts is None:
            return None
        for path in texts.keys() - self.originals.keys():
            source = sources.read(path)
            if source is None:
                return None
            self.originals[path] = source
        key = tuple(sorted(texts.items()))
        if key in self._seen:
            return None
        self._seen.add(key)
        choices = base.choices
        if help.choice:
            choices = (*choices, help.choice)
        elif finding.code == _UNHELD and all(each.code != _UNHELD for each in self._first):
            # That came to light as the error was mended: the program does not say what it means.
            choices = (*choices, message("fix.meant.trains"))
        return Trial(texts, (*base.words, _alone(help.text)), choices, base, finding)

    def _try(self, wave: Sequence[Trial]) -> None:
        before = self._before.trace
        assert before is not None
        until, limit = _until(before, self._asked.steps), self._limit()
        jobs = [self._job(each.texts, _later(until, self._further(each)), limit) for each in wave]
        done = len(self._trials)
        self._trials += wave

        def began(at: int) -> None:
            self._listener.trying(done + at + 1, done + len(wave))

        for at, answer in [*self._processes.run_all(jobs, began)]:
            trial = wave[at]
            if answer.trace is not None:
                # One branch mended, the NaN may come from another one.
                answer = self._looked_into(answer, answer.trace, jobs[at])
            trial.trace, trial.saved_bytes = answer.trace, answer.saved_bytes
            if answer.trace is None:
                trial.checks = (Check(checks.RUNS, False, _lost(answer)),)
                continue
            trial.findings = on_ranks.findings(answer)
            trial.choices += cuts_off(trial, before, answer.trace)
            trial.checks = (
                *on_ranks.checked(self._before, answer, trial.findings, self._code(answer)),
                *checks.as_meant(trial.choices, answer.trace),
            )
        settle(wave)

    def _further(self, trial: Trial) -> int:
        """How many iterations more: a graph that is kept may be gone through again much later, as
        what a pool of images gives back once it is full."""
        kept = sum(text.count(_KEPT) for text in trial.texts.values())
        before = sum(self.originals[path].text.count(_KEPT) for path in trial.texts)
        return _LATER if kept > before else 0

    def _code(self, answer: Answer) -> int:
        """The exit code, 0 where it is the one that the program itself means to end with."""
        before = self._before
        pytest = self._asked.is_module and self._asked.target == "pytest"
        meant = before.trace is not None and before.trace.outcome == "completed" and not pytest
        return 0 if meant and answer.exit_code == before.exit_code else answer.exit_code

    def _limit(self) -> float:
        return self._asked.limit or _TIMES * self._before.seconds + _MORE

    def _job(self, texts: dict[str, str], until: int | None, limit: float | None) -> Job:
        asked = self._asked
        return Job(
            asked.target, asked.name, asked.is_module, asked.arguments, "", texts, until, _AT_LEAST,
            limit, asked.scratch() if asked.scratch is not None else None, asked.ranks,
            alone=self._before.joint is not None,
        )  # fmt: skip

    def _repairs(self, first: Trial) -> Repairs:
        before = self._before
        late = before.left == "time"
        raised = before.trace.exception if before.trace is not None and not late else None
        failure = "" if raised is None else f"{raised.type}: {raised.message}"
        bases = {id(each.over) for each in self._trials}
        # Of a chain only the whole is shown.
        shown = [each for each in self._trials if id(each) not in bases or each.verdict == "proved"]
        order = ("proved", "runs", "rejected")
        shown.sort(key=lambda each: (order.index(each.verdict), _in_vain(each)))
        for each in shown:
            each.texts = {
                path: shared_again(text, self._parted.get(path, {}))
                for path, text in each.texts.items()
            }
        self.texts = [each.texts for each in shown]
        found = tuple(self._candidate(each) for each in shown)
        proved = [at for at, each in enumerate(found) if each.verdict == "proved"]
        return Repairs(
            self._asked.name, tuple(first.findings), found, proved[0] if proved else None,
            failure=failure, exit_code=0 if before.left else before.exit_code,
            left_after=before.seconds if late else None,
        )  # fmt: skip

    def _candidate(self, each: Trial) -> Candidate:
        return Candidate(
            message("fix.together", texts=list(dict.fromkeys(each.words))),
            sources.patch(each.texts, self.originals, os.getcwd()),
            sources.edits(each.texts, self.originals),
            checks.verdict(each.checks),
            each.checks,
            _cost(each),
        )


def _in_order(finding: Finding, trace: Trace | None) -> Sequence[Help]:
    """The repairs of a finding as they are tried, and shown where they do equally well. What no
    step has changed since is not computed twice where going back once, or keeping it, does too."""
    offered = (*finding.help, *finding.others)
    events = trace.events if trace is not None else ()
    for at, each in enumerate(events if finding.code == _FREED else ()):
        if not isinstance(each, Backward) or finding.failed is None or each.at != finding.failed.at:
            continue
        froms = [one.freed_by for one in each.problems if one.freed_by is not None]
        if froms and not any(isinstance(one, Step) for one in events[froms[0] : at]):
            return sorted(offered, key=lambda help: key_of(help.text) in _AGAIN)
    return offered


def _in_vain(trial: Trial) -> bool:
    """Whether a graph is gone through again for gradients that nobody uses: a generator's, in the
    step of its discriminator."""
    if trial.verdict != "proved" or trial.mends is None or trial.mends.code != _FREED:
        return False
    return any(each.code == _WASTED for each in trial.findings)


def _places(finding: Finding) -> list[Location]:
    found = (finding.saved, finding.mutated, finding.freed, finding.failed, finding.cause)
    return [each.at for each in found if each is not None and each.at is not None]


def _alone(text: str) -> str:
    """The text of a help that stands beside no other: such as begins with "Or" has a sister."""
    if not isinstance(text, Message) or ".or_" not in text.key:
        return text
    return message(text.key.replace(".or_", "."), **text.arguments)


def _lost(answer: Answer) -> str:
    if answer.refused is not None:
        return answer.refused[0]
    if answer.left:
        return message("fix.runs.never_ended")
    return message("fix.runs.process_ended", code=answer.exit_code)


def _mixed(trial: Trial) -> list[Finding]:
    """What keeps the gradients of a repair that left no finding from being those of the own loss
    alone."""
    wrong = any(each.name == checks.GRADIENTS and each.holds is False for each in trial.checks)
    return [*mixed_at_all(trial.trace)] if wrong and trial.trace is not None else []


def _of_one_network(trial: Trial) -> list[Finding]:
    """Two names of one network, where a repair is to leave a program that trains two."""
    return [each for each in trial.findings if each.code == _ONE_NETWORK and trial.over is not None]


def _until(before: Trace, steps: int) -> int | None:
    """The iteration in which a trial may be left: None to run to the end, as the program did."""
    if before.outcome == "completed":
        return None
    failure = before.exception
    at = failure.iteration if failure is not None else None
    return (at if at is not None else max(before.iterations - 1, 0)) + steps


def _later(until: int | None, more: int) -> int | None:
    return until + more if until is not None else None


def _cost(trial: Trial) -> Cost:
    if trial.trace is None:
        return Cost()
    events = trial.trace.events
    backwards = [each for each in events if isinstance(each, Backward)]
    # Long runs keep the last events alone.
    turns = len({each.iteration for each in backwards}) or 1
    forwards = sum(isinstance(each, Module) for each in events)
    # The last iteration may have been left before its end.
    return Cost(round(forwards / turns), round(len(backwards) / turns), trial.saved_bytes)
