"""Renders the ledger: each optimizer's parameters, what it changed, and from which losses."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from graphlab.text import one_line, plural
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
            f"  {one_line(optimizer.class_name)}, {plural(optimizer.steps, 'step')}",
        )
        if optimizer.elsewhere:
            yield Text("  stepped in another thread: not followed")
            return
        yield Text(f"  owns     {_tally(trace, optimizer.owns, []) or 'nothing'}")
        if optimizer.steps == 0:
            return
        if not optimizer.sampled_steps:
            yield Text("  touched  not compared by value")
            return
        changed = optimizer.touched + optimizer.others_changed
        yield Text(f"  touched  {_tally(trace, changed, owners)}", overflow="fold")
        whys = Counter(each.why for each in optimizer.untouched)
        for why, count in whys.items():
            names = [each.name for each in optimizer.untouched if each.why == why]
            shown = ", ".join(names[:4]) + (f" and {count - 4} more" if count > 4 else "")
            yield Text(f"  left     {one_line(shown)}: {one_line(why)}", overflow="fold")
        if not self.bars:
            return
        for share in optimizer.shares:
            full = round(share.share * BAR)
            bar = "█" * full + "░" * (BAR - full)
            cosine = share.cosine_to_total
            angle = f"  cosine {cosine:+.2f}" if cosine is not None and cosine < 0.999 else ""
            yield Text.assemble(
                "  gradient ",
                (bar, "cyan"),
                f" {share.share:4.0%} from {one_line(share.loss)}{angle}",
            )


def _more(alike: list[OptimizerInfo]) -> Text:
    first = alike[0]
    where = f" made in line {first.at.line}" if first.at is not None else ""
    steps = plural(sum(each.steps for each in alike), "step")
    return Text.assemble((one_line(first.name), "bold"), f"  {len(alike)} more{where}, {steps}")


def _owner(trace: Trace, index: int) -> str:
    return one_line(trace.tensors[index].owner or "?")


def _tally(trace: Trace, indices: tuple[int, ...], owners: list[str]) -> str:
    counts = Counter(_owner(trace, index) for index in indices)
    for owner in owners:
        counts.setdefault(owner, 0)
    order = owners or list(counts)
    return ", ".join(f"{counts[owner]} of {owner}" for owner in order)


def _reach(trace: Trace) -> RenderResult:
    """Whose gradients each backward call wrote, by the last call of each line."""
    last: dict[tuple[int, str], Backward] = {}
    for event in trace.events:
        if isinstance(event, Backward) and event.reached and event.at is not None:
            last[(event.at.line, event.call)] = event
    for (number, call), event in sorted(last.items()):
        yield Text.assemble(
            (one_line(call), "bold"),
            f" in line {number} wrote gradients of {_tally(trace, event.reached, [])}",
            overflow="fold",
        )
