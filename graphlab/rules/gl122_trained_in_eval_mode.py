"""A module is trained on in eval mode after an evaluation."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.modes import back_to_training, trained_once_given
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import LeftInEval


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, LeftInEval) or (each.raised and trace.outcome != "raised"):
            continue
        by = each.at.code if each.at is not None else f"{each.name}.eval()"
        whose = by.removesuffix(".eval()") if by.endswith(".eval()") else each.name
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl122.{_kind(each)}",
                name=each.name,
                by=by,
                line=line_in_brackets(each.at),
                layers=list(each.layers),
                count=len(each.layers),
            ),
            cause=Place(each.at, by) if each.at is not None else None,
            failed=Place(each.call_at, each.call) if each.call_at is not None else None,
            help=(_help(trace, each, whose),),
            others=()
            if each.mixed
            else tuple(back_to_training(trace, each.at, each.call_at, each.name)),
        )


def _kind(each: LeftInEval) -> str:
    return "given" if each.given else "summary_first" if each.first else "summary"


def _help(trace: Trace, each: LeftInEval, whose: str) -> Help:
    if not each.given:
        return Help(message("training.gl122.help", back=f"{whose}.train()"))
    back = f"{each.name}.train()"
    return trained_once_given(trace, each.at) or Help(
        message("training.gl122.help_given", back=back)
    )


RULE = Rule("GL122", "trained-in-eval-mode", "warning", check)
