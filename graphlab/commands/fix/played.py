"""The player's page of a repair: the run as it is, and the repaired one beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphlab.commands.player import no_film
from graphlab.errors import UserError
from graphlab.fix.job import Answer
from graphlab.language import message, say
from graphlab.rules.registry import find
from graphlab.trace.finding import Finding, Help
from graphlab.trace.repairs.model import Candidate, Repairs


def side_by_side(filmed: Sequence[Answer], repairs: Repairs, chosen: int | None) -> str:
    """The page. Where a repair is chosen, it is the first help of the first finding.

    Raises:
        UserError: for a run of which nothing was recorded.
    """
    from graphlab.api.player import Player, played_run

    runs = []
    for at, answer in enumerate(filmed):
        if answer.trace is None:
            raise UserError(
                message("fix.refused.not_recorded", name=repairs.target),
                message("fix.do.without_html"),
            )
        if answer.film is None:
            raise no_film(answer.trace)
        trace, findings = answer.trace, find(answer.trace)
        if at == 1:
            trace = replace(trace, target=say("fix.played.repaired", target=trace.target))
            if answer.left:
                # It was left on purpose when it had run far enough.
                trace = replace(trace, outcome="completed", exception=None)
        elif chosen is not None:
            findings = _with_repair(findings, repairs.candidates[chosen])
        runs.append(played_run(trace, answer.film, findings))
    return Player(runs).html


def _with_repair(findings: list[Finding], repair: Candidate) -> list[Finding]:
    at = next((at for at, each in enumerate(findings) if each.severity != "info"), None)
    if at is None:
        return findings
    first = findings[at]
    told = message(f"fix.played.{repair.verdict}", text=repair.text)
    helps = [
        Help(told if number == 0 else "", edit.before, edit.after, edit.file, edit.line)
        for number, edit in enumerate(repair.edits)
    ]
    others = (each for each in first.help if each.text not in repair.text)
    return [*findings[:at], replace(first, help=(*helps, *others)), *findings[at + 1 :]]
