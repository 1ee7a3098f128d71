"""Renders the ledger: each optimizer's parameters, what it changed, and from which losses."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from graphlab.language import say, told
from graphlab.text import one_line
from graphlab.trace.model import Backward, OptimizerInfo, Trace

BAR = 20
# At most this many optimizers built by the same line are shown.
SHOWN = 3


class Ledger:
    """A rich renderable of all optimizers of a Trace; `bars` adds the share of each loss."""

    def __init__(self, trace: Trace, bars: bool = True) -> None:
        self.trace = trace
        self.bars = bars

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        trace = self.trace
        owners = list(
            dict.fromkeys(_owner(trace, index) for each in trace.optimizers for index in each.owns)
        )
        groups: dict[Any, list[OptimizerInfo]] = {}
        for each in trace.optimizers:
            groups.setdefault((each.name, each.class_name, each.at), []).append(each)
        for alike in groups.values():
            for optimizer in alike[:SHOWN]:
                yield from self._one(optimizer, owners)
            if len(alike) > SHOWN:
                yield _more(alike[SHOWN:])
        yield from _reach(trace)

    def _one(self, optimizer: OptimizerInfo, owners: list[str]) -> RenderResult:
        trace = self.trace
        yield Text.assemble(
            (one_line(optimizer.name), "bold"),
            f"  {one_line(optimizer.class_name)}, {_say('steps', count=optimizer.steps)}",
        )
        if optimizer.elsewhere:
            yield Text(f"  {_say('elsewhere')}")
            return
        owns = _tally(trace, optimizer.owns, []) or _say("nothing")
        yield Text(f"  {_say('owns', what=owns)}")
        if optimizer.steps == 0:
            return
        if not optimizer.sampled_steps:
            yield Text(f"  {_say('not_compared')}")
            return
        changed = optimizer.touched + optimizer.others_changed
        touched = _say("touched", what=_tally(trace, changed, owners))
        yield Text(f"  {touched}", overflow="fold")
        whys = Counter(each.why for each in optimizer.untouched)
        for why, count in whys.items():
            names = [each.name for each in optimizer.untouched if each.why == why]
            shown = ", ".join(names[:4])
            if count > 4:
                shown = _say("names_more", names=shown, count=count - 4)
            left = _say("left", what=one_line(shown), why=one_line(told(why)))
            yield Text(f"  {left}", overflow="fold")
        if not self.bars:
            return
        for share in optimizer.shares:
            full = round(share.share * BAR)
            bar = "█" * full + "░" * (BAR - full)
            cosine = share.cosine_to_total
            angle = ""
            if cosine is not None and cosine < 0.999:
                angle = _say("cosine", cosine=f"{cosine:+.2f}")
            part = _say("share", share=f"{share.share:4.0%}", loss=one_line(share.loss))
            yield Text.assemble(f"  {_say('gradient')} ", (bar, "cyan"), part, angle)


def _more(alike: list[OptimizerInfo]) -> Text:
    first = alike[0]
    steps = _say("steps", count=sum(each.steps for each in alike))
    if first.at is not None:
        more = _say("more_made", count=len(alike), line=first.at.line, steps=steps)
    else:
        more = _say("more", count=len(alike), steps=steps)
    return Text.assemble((one_line(first.name), "bold"), f"  {more}")


def _say(key: str, **arguments: Any) -> str:
    return say(f"report.ledger.{key}", **arguments)


def _owner(trace: Trace, index: int) -> str:
    return one_line(trace.tensors[index].owner or "?")


def _tally(trace: Trace, indices: tuple[int, ...], owners: list[str]) -> str:
    counts = Counter(_owner(trace, index) for index in indices)
    for owner in owners:
        counts.setdefault(owner, 0)
    order = owners or list(counts)
    return ", ".join(_say("of", count=counts[owner], owner=owner) for owner in order)


def _reach(trace: Trace) -> RenderResult:
    """Whose gradients the backward calls of each line wrote: one line may train several layers by
    turns."""
    reached: dict[tuple[int, str], dict[int, None]] = {}
    for event in trace.events:
        if isinstance(event, Backward) and event.reached and event.at is not None:
            reached.setdefault((event.at.line, event.call), {}).update(dict.fromkeys(event.reached))
    for (number, call), tensors in sorted(reached.items()):
        yield Text.assemble(
            (one_line(call), "bold"),
            _say("wrote", line=number, what=_tally(trace, tuple(tensors), [])),
            overflow="fold",
        )
