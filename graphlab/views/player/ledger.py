"""Computes the ledger at each step: what each optimizer has written, with which losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphlab.language import say
from graphlab.trace.model import Backward, Step, Write
from graphlab.views.player.texts.words import tally

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline


def ledger(timeline: Timeline) -> list[dict[str, Any]]:
    """A block for each optimizer. Its history has ``[step of the timeline, optimizer steps so far,
    tensors written so far, losses]``."""
    film = timeline.film
    found = []
    known = {each.name: each for each in timeline.trace.optimizers}
    for at, name in enumerate(film.optimizers):
        info = known.get(name)
        written: dict[int, None] = {}
        count, history = 0, [[0, 0, "", []]]
        for step, events in enumerate(timeline.events):
            mine = [each for each in events if isinstance(each, Step) and each.optimizer == at]
            if not mine:
                continue
            for each in events:
                if isinstance(each, Write) and each.by == f"{name}.step()" and each.tensor >= 0:
                    written[each.tensor] = None
            count += len(mine)
            row = [step, count, tally(timeline, written), list(mine[-1].sources)]
            if history[-1][0] == step:
                history.pop()
            history.append(row)
        found.append(
            {
                "name": name,
                "class": info.class_name if info is not None else "",
                "owns": tally(timeline, info.owns) if info is not None else "",
                "history": history,
            }
        )
    return found


def entries(timeline: Timeline) -> list[dict[str, Any]]:
    """The lines under the ledger: every backward and optimizer step, with the step of the timeline.
    `shares` are each loss's part of the applied gradient, if they were measured."""
    found: list[dict[str, Any]] = []
    for at, events in enumerate(timeline.events):
        line = timeline.film.moments[at].at.line
        for event in events:
            entry: dict[str, Any] = {"step": at, "line": line, "shares": [], "bad": False}
            if isinstance(event, Backward):
                reached = tally(timeline, event.reached) or say("player.ledger.nothing")
                text = say("player.ledger.wrote", tensors=reached)
                if event.raised:
                    text = say("player.ledger.raised", type=event.raised)
                entry["bad"], entry["text"] = bool(event.raised), text
                entry["who"] = event.call
            elif isinstance(event, Step):
                entry["who"] = f"{timeline.film.optimizers[event.optimizer]}.step()"
                losses = " + ".join(event.sources) or say("player.ledger.no_new")
                entry["text"] = say("player.ledger.applied", losses=losses)
                if event.mix is not None:
                    entry["shares"] = [[each.loss, each.share] for each in event.mix.shares]
            else:
                continue
            found.append(entry)
    return found
