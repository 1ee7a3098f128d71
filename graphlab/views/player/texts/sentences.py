"""Writes the sentences on what a step did, shown under the controls and read by screen readers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from graphlab.language import key_of, say
from graphlab.trace.model import Backward, Event, Module, Refused, Step, Write, ZeroGrad
from graphlab.views.figure.grouping import failed_backward
from graphlab.views.player.texts.words import listing, tally, tally_of

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline

# Of a graph with more nodes it is not said which values are used detached: each takes a walk.
FOLLOWED = 5_000


def sentence(
    timeline: Timeline, at: int, saved: list[dict[str, Any]], watched: dict[str, Any] | None
) -> str:
    """What happened at step `at`, and what it saved, freed or made stale; of the `watched` tensor,
    what it is for."""
    moment, events = timeline.film.moments[at], timeline.events[at]
    words: list[str] = []
    called = Counter(event.name for event in events if isinstance(event, Module))
    if called:
        names = [_times(name, count) for name, count in called.items()]
        words.append(say("player.say.runs", names=listing(names), count=len(names)))
    for number, event in zip(moment.events, events, strict=True):
        if isinstance(event, Backward):
            words.extend(_backward(timeline, number, event, saved, watched))
        elif isinstance(event, Step):
            words.append(_step(timeline, event))
        elif isinstance(event, ZeroGrad):
            words.append(_cleared(timeline, at, event.target))
        elif isinstance(event, Refused):
            name = timeline.names[event.tensor]
            words.append(say("player.say.refused", by=event.by, name=name))
    steppers = [timeline.film.optimizers[e.optimizer] for e in events if isinstance(e, Step)]
    writes = [event for event in events if isinstance(event, Write)]
    words.extend(_writes(timeline, at, writes, [f"{name}.step()" for name in steppers]))
    words.extend(_graph(timeline, at, saved, watched))
    error = timeline.trace.exception
    if at == timeline.crash and error is not None and not any(map(_raised, events)):
        words.append(say("player.say.error", type=error.type))
    return " ".join(words) or _called(timeline, at) or say("player.say.nothing")


def _raised(event: Event) -> bool:
    return isinstance(event, Backward) and bool(event.raised)


def _called(timeline: Timeline, at: int) -> str:
    """The sentence for a line that only calls a function of the user's, recorded in the next steps;
    empty for any other line."""
    here, *after = timeline.film.moments[at : at + 2]
    if not after or after[0].resumed or after[0].at.function == here.at.function:
        return ""
    name = after[0].at.function.rpartition(".")[2]
    if not re.search(rf"\b{re.escape(name)}\(", here.at.code):
        return ""
    return say("player.say.called", name=f"{name}()")


def _cleared(timeline: Timeline, at: int, target: str) -> str:
    changes = timeline.film.moments[at].changes
    gone = [change for change in changes if not change.grad]
    if gone:
        losses = listing(_losses_before(timeline, at, {each.tensor for each in gone}))
        key = "taken_away_of" if losses else "taken_away"
        arguments = {"losses": losses} if losses else {}
        return say(f"player.say.{key}", target=target, count=len(gone), **arguments)
    zero = [change for change in changes if not change.losses]
    if zero:
        return say("player.say.set_to_zero", target=target, count=len(zero))
    return say("player.say.nothing_to_clear", target=target)


def _losses_before(timeline: Timeline, at: int, tensors: set[int]) -> list[str]:
    """The losses whose gradients lay in the ``.grad`` of these tensors before step `at`."""
    held: dict[int, tuple[str, ...]] = {}
    for changes in (timeline.film.before, *(each.changes for each in timeline.film.moments[:at])):
        held.update((each.tensor, each.losses) for each in changes if each.tensor in tensors)
    return list(dict.fromkeys(loss for losses in held.values() for loss in losses))


def _backward(
    timeline: Timeline,
    number: int,
    event: Backward,
    saved: list[dict[str, Any]],
    watched: dict[str, Any] | None,
) -> Iterable[str]:
    needed = _needed(timeline, number, event, watched) if watched is not None else []
    if event.raised:
        raised = say("player.say.raises", call=event.call, type=event.raised)
        return [raised, *_freed(timeline, event), *needed]
    reached = tally(timeline, event.reached)
    if not reached:
        return [say("player.say.reaches_nothing", call=event.call)]
    found = [say("player.say.writes_gradients", call=event.call, tensors=reached)]
    found += _matched(timeline, number, event, saved, watched)
    if event.retain_graph:
        found.append(say("player.say.retained"))
    return found + needed


def _freed(timeline: Timeline, event: Backward) -> Iterator[str]:
    """Which backward freed the part of the graph that this one needs again."""
    for each in event.problems:
        by = timeline.film.events[each.freed_by] if each.freed_by is not None else None
        if each.state == "freed" and each.at is not None and isinstance(by, Backward):
            yield say("player.say.freed_before", line=each.at.line, call=by.call)
            return


def _matched(
    timeline: Timeline,
    number: int,
    event: Backward,
    saved: list[dict[str, Any]],
    watched: dict[str, Any] | None,
) -> list[str]:
    """That a backward found the watched tensor as it was saved."""
    at = timeline.step_of[number]
    nodes = timeline.passages.get(number, ())
    used = [
        each
        for each in saved
        if watched is not None
        and each["row"] == watched["row"]
        and each["node"] in nodes
        and each["version"] is not None
    ]
    if watched is None or event.raised or not used:
        return []
    if any(each["stale"] is not None and each["stale"] < at for each in used):
        return []
    name, version = watched["name"], max(each["version"] for each in used)
    return [say("player.say.matched", name=name, version=version)]


def _needed(timeline: Timeline, number: int, event: Backward, watched: dict[str, Any]) -> list[str]:
    """Why a backward needs a tensor that was written since it was saved, and how wrong its gradient
    is, if that was measured."""
    bad = [each for each in event.problems if each.state in ("stale", "bypassed")]
    names = [timeline.names[each.tensor] for each in bad if each.tensor >= 0]
    if watched["name"] not in names:
        return []
    found = []
    holder = watched["failing"]
    if holder is not None and holder["formula"] and holder["line"] is not None:
        key = "needs_for" if holder["beyond"] else "needs"
        found.append(
            say(
                f"player.say.{key}", line=holder["line"], name=watched["name"],
                formula=holder["formula"], beyond=holder["beyond"],
            )
        )  # fmt: skip
    if any(each.state == "stale" for each in bad):
        if holder is not None and None not in (holder["version"], holder["now"]):
            versions = {"saved": holder["version"], "now": holder["now"]}
            found.append(say("player.say.overwritten", name=watched["name"], **versions))
    elif not event.raised:
        word = f"v{holder['version']}*" if holder is not None else "*"
        found.append(say("player.say.used_unseen", name=watched["name"], version=word))
    if event.raised:
        found += _retained(timeline, number, holder)
    for each in timeline.gradients.get(number, ()):
        numbers = {"right": _numbers(each.right), "stale": _numbers(each.stale)}
        found.append(say("player.say.numbers", name=timeline.names[each.tensor], **numbers))
    if event.cosine is not None and event.relative_error is not None:
        error = {"error": round(event.relative_error * 100), "cosine": f"{event.cosine:.2f}"}
        found.append(say("player.say.harm", **error))
    return found


def _retained(timeline: Timeline, number: int, holder: dict[str, Any] | None) -> list[str]:
    """That an earlier backward with ``retain_graph=True`` was no help."""
    for at in range(number - 1, -1, -1):
        event = timeline.film.events[at]
        if not isinstance(event, Backward) or not event.retain_graph or event.at is None:
            continue
        if holder is not None and holder["node"] in timeline.passages.get(at, ()):
            return [say("player.say.no_help", line=event.at.line)]
    return []


def _numbers(values: tuple[float, ...]) -> str:
    words = [f"{each:.4g}" for each in values]
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"


def _step(timeline: Timeline, event: Step) -> str:
    name = f"{timeline.film.optimizers[event.optimizer]}.step()"
    losses = listing(event.sources)
    if not losses:
        return say("player.say.step_runs", name=name)
    return say("player.say.applies", name=name, losses=losses) + mixed(event)


def mixed(event: Step) -> str:
    """How much of the applied gradient came from which of two losses, if that was measured."""
    mix = event.mix
    if mix is None or len(mix.shares) != 2 or len(mix.cosines) != 1:
        return ""
    percents = [round(each.share * 100) for each in mix.shares]
    if 0 in percents:
        return ""
    words = [
        say("player.say.share", percent=percent, loss=each.loss)
        for percent, each in zip(percents, mix.shares, strict=True)
    ]
    ((_, _, cosine),) = mix.cosines
    key = "mixed" if cosine < 0 else "mixed_alike"
    return " " + say(f"player.say.{key}", shares=listing(words), cosine=f"{cosine:.2f}")


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
        through = key_of(by) == "observed.by.through"
        known_as = say("player.say.who_through" if through else "player.say.who", by=by)
        who = say("player.say.it") if by in said else known_as
        known = [each for each in tensors if each >= 0]
        if not known:
            found.append(say("player.say.writes_nameless", who=who, count=len(tensors)))
            continue
        if before is None or after is None:
            change = say("player.say.uncounted")
        elif before == after:
            change = say("player.say.unseen", version=before, count=len(known))
        else:
            change = say("player.say.counted", before=before, after=after)
        found.append(
            say("player.say.writes", who=who, tensors=tally(timeline, known), change=change)
        )
    return found


def _graph(
    timeline: Timeline, at: int, saved: list[dict[str, Any]], watched: dict[str, Any] | None
) -> list[str]:
    found = []
    made = timeline.made[at]
    if made:
        kept = sum(1 for each in saved if each["born"] == at and each["node"] in made)
        joined = say("player.say.joined", count=len(made))
        key = "joined_saved" if kept else "joined_plain"
        arguments = {"count": kept} if kept else {}
        found.append(say(f"player.say.{key}", joined=joined, **arguments))
        found += _detached(timeline, made)
    if watched is not None:
        saves = [each for each in saved if each["row"] == watched["row"] and each["formula"]]
        now = next((each for each in saves if each["born"] == at), None)
        if now is not None:
            # Another version of it was saved before: this is the updated one.
            again = any(e["born"] < at and e["version"] != now["version"] for e in saves)
            key = "saved_again" if again else "saved_for"
            what = {name: now[name] for name in ("version", "formula")}
            found.append(say(f"player.say.{key}", name=watched["name"], **what))
    freed = sum(1 for each in saved if each["freed"] == at)
    if freed:
        found.append(say("player.say.freed", count=freed))
    stale = sum(1 for each in saved if each["stale"] == at)
    if stale:
        found.append(say("player.say.stale", count=stale))
        graph = timeline.film.graph
        if graph is not None and failed_backward(graph) is None:
            found.append(say("player.say.harmless", count=stale))
    return found


def _detached(timeline: Timeline, made: list[int]) -> list[str]:
    """Values of the graph that the nodes `made` use and do not lead back to."""
    graph = timeline.film.graph
    found = {}
    if graph is None or len(graph) > FOLLOWED:
        return []
    for node in made:
        for each in graph.saved.get(node, ()):
            values = timeline.variables.get(each.tensor or "", ())
            if each.kind != "activation" or not values or each.tensor in found:
                continue
            # A node may well save its own result.
            if node not in values and graph.reached_by(node).isdisjoint(values):
                behind = graph.reached_by(values[0]) & graph.leaves.keys()
                leaves = [graph.leaves[at] for at in sorted(behind) if graph.leaves[at].name]
                owners = tally_of((leaf.owner, leaf.name or "") for leaf in leaves)
                if owners:
                    found[each.tensor] = say("player.say.detached", name=each.tensor, behind=owners)
    return list(found.values())


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} (× {count})"
