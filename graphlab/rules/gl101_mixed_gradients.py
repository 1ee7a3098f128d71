"""An optimizer stepped with gradients from a loss that is meant for another optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.attacks import LeftByAttack, left_by_attacks
from graphlab.rules.mixtures import MOST_COSINE, every, harmful, share_of
from graphlab.rules.repair.left_over import for_input_alone
from graphlab.rules.repair.loops import isolation_edits
from graphlab.rules.rule import Rule
from graphlab.source.blocks import Block
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Mix, Share, Step, Trace


def check(trace: Trace) -> Iterator[Finding]:
    for each in harmful(trace):
        yield _finding(trace, *each)
    for each in left_by_attacks(trace):
        yield _left(trace, each)


def _left(trace: Trace, each: LeftByAttack) -> Finding:
    """What a backward has left that is there for an input's gradient."""
    name, backward = trace.optimizers[each.step.optimizer].name, each.backward
    text = message("repairs.left_over.for_input", name=each.leaf)
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl101.by_attack",
            name=name,
            share=each.share.share,
            call=backward.call,
            line=each.share.line,
            leaf=each.leaf,
        ),
        iteration=each.step.iteration,
        failed=Place(each.step.at, f"{name}.step()"),
        cause=Place(backward.at, backward.call),
        help=(for_input_alone(trace, backward.at, each.leaf) or Help(text),),
        measured={"foreign_share": each.share.share},
    )


def mixed_at_all(trace: Trace) -> Iterator[Finding]:
    """As `check`, of whatever share another optimizer's loss has: no warning, but what keeps a
    repair from being right."""
    for each in every(trace):
        yield _finding(trace, *each)


def _finding(
    trace: Trace, index: int, mine: str, event: Step, mix: Mix, others: set[str]
) -> Finding:
    name = trace.optimizers[index].name
    foreign = max((s for s in mix.shares if s.loss in others), key=lambda s: s.share)
    pair = {frozenset(each[:2]): each[2] for each in mix.cosines}
    between = pair.get(frozenset((mine, foreign.loss)))
    own = share_of(mix, mine)
    cause = next(
        (
            each
            for each in reversed(trace.events[: trace.events.index(event)])
            if isinstance(each, Backward) and each.loss == foreign.loss
        ),
        None,
    )
    owner = {trace.tensors[at].owner for at in trace.optimizers[event.optimizer].owns}
    who = (owner.pop() if len(owner) == 1 else None) or message("training.gl101.it")
    worse = own.change is None or own.change > 0.0
    if between is not None and between > MOST_COSINE and not worse:
        key = "left_here"
    else:
        key = ("apart_" if between is not None else "") + ("worse" if worse else "undo")
    return Finding(
        *RULE.label,
        summary=message(
            f"training.gl101.{key}",
            name=name,
            own=own.share,
            mine=mine,
            share=foreign.share,
            foreign=foreign.loss,
            cosine=between,
            who=who,
        ),
        iteration=event.iteration,
        failed=Place(event.at, f"{name}.step()"),
        cause=Place(cause.at, cause.call) if cause is not None else None,
        help=tuple(_help(trace, event, foreign.loss)),
        others=tuple(_others(trace, event, foreign.loss)),
        notes=(_proof(name, mine, own),),
        measured=_measured(own, foreign, between),
    )


def _proof(name: str, mine: str, own: Share) -> str:
    if own.cosine_to_total is None:
        return message("training.gl101.cancelled")
    key = "uphill_by" if own.change is not None and own.change > 0.0 else "downhill_by"
    return message(
        f"training.gl101.{key if own.change is not None else 'uphill'}",
        name=name,
        mine=mine,
        cosine=own.cosine_to_total,
        change=own.change,
    )


def _measured(own: Share, foreign: Share, between: float | None) -> dict[str, float]:
    found = {
        "own_share": own.share,
        "foreign_share": foreign.share,
        "cosine_between": between,
        "own_cosine_to_total": own.cosine_to_total,
        "own_change": own.change,
    }
    return {name: value for name, value in found.items() if value is not None}


def _help(trace: Trace, event: Step, foreign: str) -> Iterator[Help]:
    yield _isolated(trace, event, foreign) or Help(
        message("training.gl101.keep_out", foreign=foreign)
    )


def _isolated(trace: Trace, event: Step, foreign: str, groups: bool = False) -> Help | None:
    if event.at is None:
        return None
    line = next(
        (
            each.at.line
            for each in trace.events
            if isinstance(each, Backward) and each.loss == foreign and each.at is not None
        ),
        event.at.line,
    )
    block = Block(trace.sources.get(event.at.file, ""), event.at.file, line, event.at.line)
    edits = isolation_edits(trace, block, groups=groups)
    return block.help(message("training.gl101.inputs"), edits) if edits else None


def _others(trace: Trace, event: Step, foreign: str) -> Iterator[Help]:
    found = _isolated(trace, event, foreign, groups=True)
    if found is not None:
        yield found


RULE = Rule("GL101", "mixed-gradients", "warning", check)
