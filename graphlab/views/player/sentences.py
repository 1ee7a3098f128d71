"""Writes the sentences on what a step did, shown under the controls and read by screen readers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from graphlab.text import listing, plural
from graphlab.trace.film import Change
from graphlab.trace.model import Backward, Event, Module, Refused, Step, Write, ZeroGrad

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline


def sentence(timeline: Timeline, at: int, saved: list[dict[str, Any]]) -> str:
    """What happened at step `at`, and what it saved, freed or made stale."""
    moment, events = timeline.film.moments[at], timeline.events[at]
    words: list[str] = []
    called = Counter(event.name for event in events if isinstance(event, Module))
    if called:
        words.append(listing([_times(name, count) for name, count in called.items()]) + " runs.")
    for event in events:
        if isinstance(event, Backward):
            words.append(_backward(timeline, event))
        elif isinstance(event, Step):
            words.append(_step(timeline, event))
        elif isinstance(event, ZeroGrad):
            words.append(f"{event.target} {_cleared(moment.changes)}.")
        elif isinstance(event, Refused):
            words.append(
                f"{event.by} is refused: {timeline.names[event.tensor]} must not be written."
            )
    steppers = [timeline.film.optimizers[e.optimizer] for e in events if isinstance(e, Step)]
    writes = [event for event in events if isinstance(event, Write)]
    words.extend(_writes(timeline, at, writes, [f"{name}.step()" for name in steppers]))
    words.extend(_graph(timeline, at, saved))
    error = timeline.trace.exception
    if at == timeline.crash and error is not None and not any(map(_raised, events)):
        words.append(f"{error.type} is raised here.")
    return " ".join(words) or _called(timeline, at) or "Nothing here touches the graph."


def _raised(event: Event) -> bool:
    return isinstance(event, Backward) and bool(event.raised)


def _called(timeline: Timeline, at: int) -> str:
    """The sentence for a line that only calls a function of the user's, recorded in the next steps;
    empty for any other line."""
    here, *after = timeline.film.moments[at : at + 2]
    if not after or after[0].resumed or after[0].at.function == here.at.function:
        return ""
    name = after[0].at.function.rpartition(".")[2]
    return f"It goes on in {name}()." if re.search(rf"\b{re.escape(name)}\(", here.at.code) else ""


def tally(timeline: Timeline, tensors: Iterable[int]) -> str:
    """The tensors by owner, such as ``6 parameters of D and 6 of G``; one tensor by its name."""
    known = list(tensors)
    if len(known) == 1:
        return timeline.names[known[0]]
    counts = Counter(timeline.film.tensors[each].owner or timeline.names[each] for each in known)
    words = [f"{count} of {owner}" for owner, count in counts.items()]
    return listing([words[0].replace(" ", " parameters ", 1), *words[1:]]) if words else ""


def _cleared(changes: Iterable[Change]) -> str:
    gone = [change for change in changes if not change.grad]
    if gone:
        return f"takes away {plural(len(gone), 'gradient')}"
    zero = [change for change in changes if not change.losses]
    return f"sets {plural(len(zero), 'gradient')} to zero" if zero else "finds nothing to clear"


def _backward(timeline: Timeline, event: Backward) -> str:
    if event.raised:
        return f"{event.call} raises {event.raised}."
    reached = tally(timeline, event.reached)
    if not reached:
        return f"{event.call} runs and writes no gradient of an optimizer's parameters."
    kept = "; retain_graph=True keeps what it saved" if event.retain_graph else ""
    return f"{event.call} writes the gradients of {reached}{kept}."


def _step(timeline: Timeline, event: Step) -> str:
    name = timeline.film.optimizers[event.optimizer]
    losses = listing(event.sources)
    return f"{name}.step() applies the gradient of {losses}." if losses else f"{name}.step() runs."


def _writes(timeline: Timeline, at: int, events: list[Write], said: Collection[str]) -> list[str]:
    """Sentences for the writes of a step. Writers in `said` were named before, and become "It"."""
    kept = timeline.kept[at]
    groups: dict[tuple[str, int | None, int | None], list[int]] = {}
    for event in events:
        # A write through `.data` has another version counter; the film has the tensor's own.
        own = kept.get(event.tensor)
        before, after = (event.before, event.after) if own is None else (own, own)
        groups.setdefault((event.by, before, after), []).append(event.tensor)
    found = []
    for (by, before, after), tensors in groups.items():
        # ``layer(), through normal_()`` needs a comma after it.
        who = "It" if by in said else f"{by}," if ", through " in by else by
        known = [each for each in tensors if each >= 0]
        if known:
            found.append(
                f"{who} writes {tally(timeline, known)}{_change(before, after, len(known))}."
            )
        else:
            one = len(tensors) == 1
            what = "a tensor that has" if one else f"{len(tensors)} tensors that have"
            found.append(f"{who} writes {what} no name.")
    return found


def _change(before: int | None, after: int | None, count: int) -> str:
    if before is None or after is None:
        return ", and no version counts it"
    if before == after:
        they = "it stays" if count == 1 else "they stay"
        return f": {they} at version {before}, so autograd does not see it"
    return f": version {before} becomes {after}"


def _graph(timeline: Timeline, at: int, saved: list[dict[str, Any]]) -> list[str]:
    found = []
    if timeline.made[at]:
        kept = sum(1 for each in saved if each["born"] == at and each["node"] in timeline.made[at])
        more = f" and saved {plural(kept, 'tensor')} for backward" if kept else ""
        found.append(f"{plural(len(timeline.made[at]), 'node')} joined the graph{more}.")
    freed = sum(1 for each in saved if each["freed"] == at)
    if freed:
        found.append(f"{plural(freed, 'saved tensor')} {'is' if freed == 1 else 'are'} freed.")
    stale = sum(1 for each in saved if each["stale"] == at)
    if stale == 1:
        found.append("1 saved tensor no longer holds what was saved: it is stale.")
    elif stale:
        found.append(f"{stale} saved tensors no longer hold what was saved: they are stale.")
    return found


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} (× {count})"
