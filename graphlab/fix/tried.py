"""A repair that was tried, and what the trials beside it tell of its choice."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphlab.fix import checks
from graphlab.fix.reach import shorter
from graphlab.language import Message, key_of, message
from graphlab.rules.repair.anew.totals import adds_to
from graphlab.source.places import nodes_in
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.trace.repairs.model import Check

# The rule about gradients that are all zero.
_ZERO = "GL120"
# Choices that a trial of the other way settles: a value that is computed once and detached, or in
# each turn; elements that are assigned without their graph, or with it; and which operand of a
# summand is to have one.
_ONCE, _VALUES, _CUT = "fix.meant.once", "fix.meant.values", "fix.meant.which_cut"
# The repair that ends a graph where a turn ends.
_TURN_ENDS = "repairs.carried.detach"


@dataclass
class Trial:
    """A repair, and what became of it."""

    texts: dict[str, str]
    words: tuple[str, ...] = ()
    # What it decides that the program does not say.
    choices: tuple[str, ...] = ()
    # What it is put on top of, and the finding that it is to mend.
    over: Trial | None = None
    mends: Finding | None = None
    trace: Trace | None = None
    findings: list[Finding] = field(default_factory=list)
    checks: tuple[Check, ...] = ()
    saved_bytes: int | None = None

    @property
    def verdict(self) -> str:
        return checks.verdict(self.checks)

    @property
    def problems(self) -> list[Finding]:
        return [each for each in self.findings if each.severity != "info"]


def helped(trial: Trial) -> bool:
    """Whether the finding that it was to mend is gone."""
    was = trial.mends
    # One that has its words, and another repair to offer, is the next of its kind.
    return was is None or not any(
        each.code == was.code and each.summary == was.summary and each.help[:1] == was.help[:1]
        for each in trial.problems
    )


def cuts_off(trial: Trial, before: Trace, after: Trace) -> tuple[str, ...]:
    """What a detach at the end of each turn takes from a backward of several turns, micro-batches
    that are added up say, which ran before."""
    text = trial.words[-1] if trial.words else ""
    if not isinstance(text, Message) or text.key != _TURN_ENDS:
        return ()
    last = str(text.arguments["names"]).rpartition(".")[2]
    # A state may end at each turn; of a total, the summands that came before would be lost.
    nodes = [node for each in before.sources.values() for node in nodes_in(each)]
    if not any(isinstance(e, ast.Assign | ast.AugAssign) and adds_to(e, last) for e in nodes):
        return ()
    call = shorter(before, after)
    return (message("fix.meant.cuts_off", call=call),) if call else ()


def settle(wave: Sequence[Trial]) -> None:
    """A choice is none where the other way does not do: then the program does say what it means."""
    for trial in [each for each in wave if _is_settled(each, wave)]:
        kept = (check for check in trial.checks if check.name != checks.MEANT)
        trial.choices = trial.choices[:-1]
        trial.checks = (*kept, *checks.as_meant(trial.choices, trial.trace))


def _is_settled(trial: Trial, wave: Sequence[Trial]) -> bool:
    choice = trial.choices[-1] if trial.choices else ""
    others = [each for each in wave if each is not trial and each.over is trial.over]
    if key_of(choice) == _ONCE:
        anew = [each for each in others if each.mends is trial.mends and _anew(each, choice)]
        others = [
            e for e in others if [*map(_decided, e.choices)] == [*map(_decided, trial.choices)]
        ]
        settled = all(
            any(_silenced(check) for check in each.checks) or _still(each) or _raises_alike(each)
            for each in others
        )
        if not others:
            # Where it is computed in each turn, and leads to the old graph all the same.
            others, settled = anew, all(_raises_alike(each) for each in anew)
    elif key_of(choice) == _VALUES:
        others = [each for each in others if each.mends is trial.mends and not each.choices]
        settled = all(each.verdict == "rejected" for each in others)
    elif key_of(choice) == _CUT:
        others = [each for each in others if each.mends is trial.mends]
        settled = _every_way(choice) and all(each.verdict == "rejected" for each in others)
    else:
        return False
    return bool(others) and settled


def _decided(choice: str) -> tuple[str, object]:
    """A choice, by whichever name its attribute has: ``net.rotary.made`` or ``self.made``."""
    name = choice.arguments.get("name") if isinstance(choice, Message) else None
    return key_of(choice), name.rpartition(".")[2] if isinstance(name, str) else choice


def _anew(trial: Trial, choice: str) -> bool:
    """Whether it computes in each turn what is detached where that choice is made."""
    text = trial.words[-1]
    names = text.arguments.get("names", ()) if isinstance(text, Message) else ()
    mine = choice.arguments["name"] if isinstance(choice, Message) else ""
    return key_of(text) == "repairs.kept_apart.each_turn" and mine in names


def _raises_alike(trial: Trial) -> bool:
    """Whether the error that it was to mend is left, perhaps of another line's graph."""
    was = trial.mends
    return not helped(trial) or any(
        was is not None and each.code == was.code and each.severity == "error" == was.severity
        for each in trial.problems
    )


def _still(trial: Trial) -> bool:
    """Whether every gradient of a loss is exactly zero in it, which trains nothing: a ratio to what
    is computed anew from the same weights."""
    return any(each.code == _ZERO for each in trial.problems)


def _every_way(choice: str) -> bool:
    """Whether each way of the cut values to choose among was tried: one alone, the other, or both.
    Of three and more nobody tries every subset."""
    names = choice.arguments["names"] if isinstance(choice, Message) else ()
    return len(names) == 2


def _silenced(check: Check) -> bool:
    return check.name == checks.SILENCES and check.holds is False
