"""What the page shows of a finding: its places in the order in which they ran, and the repairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from graphlab.language import say, told
from graphlab.trace.finding import Finding, Place
from graphlab.trace.model import Location
from graphlab.views.terminal.story import changed_lines

if TYPE_CHECKING:
    from graphlab.views.player.timeline import Timeline


# What is told of these is filmed where --nan-from looks for it.
_FOLLOWED = ("GL201", "GL202")


def card(timeline: Timeline, finding: Finding, why: str) -> dict[str, Any]:
    """The finding as JSON values; `why` is what its rule's page says of the harm."""
    failed = finding.failed.at if finding.failed is not None else None
    step = timeline.at(failed)
    exception = timeline.trace.exception if finding.severity == "error" else None
    if step is None and exception is not None:
        step = timeline.at(exception.at)
    raised = exception is not None and step is not None and step == timeline.at(exception.at)
    main = failed.file if failed is not None else timeline.files[0]
    notes = [told(each) for each in finding.notes]
    here = timeline.film.iteration
    if None not in (finding.iteration, here) and finding.iteration != here:
        notes.append(say("player.card.elsewhere", seen=finding.iteration, shown=here))
        if finding.code in _FOLLOWED:
            notes.append(say("player.card.follow", seen=finding.iteration))
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "title": say(f"player.card.{finding.severity}", code=finding.code, name=finding.name),
        "summary": told(finding.summary),
        "why": why,
        "words": f"{exception.type}: {exception.message}" if exception and raised else "",
        "step": step,
        "places": [
            {
                "line": place.at.line if place.at is not None else None,
                "code": place.at.code if place.at is not None else "",
                "text": _with_file(main, place.at, text),
                "version": version,
                "step": timeline.at(place.at, step),
                "before": place.at is not None and timeline.at(place.at, step) is None,
            }
            for place, text, version in _places(finding)
        ],
        "also": len(finding.related),
        "notes": notes,
        "helps": [
            {"text": told(each.text), "diff": [list(line) for line in changed_lines(each)]}
            for each in finding.help
        ],
    }


def _with_file(main: str, at: Location | None, text: str) -> str:
    """With the file of a line that is in another than the `main` one."""
    if at is None:
        return say("player.card.no_line", text=text)
    file = PurePath(at.file).name
    return text if at.file == main else say("player.card.in_file", file=file, text=text)


def _places(finding: Finding) -> Iterator[tuple[Place, str, str]]:
    """(place, what happened there, the tensor's version there), in the order in which they ran."""
    tensor = finding.tensor
    then = tensor.saved if tensor is not None else None
    now = tensor.current if tensor is not None else None
    name = (tensor.tensor.name if tensor is not None else None) or say("player.card.the_tensor")
    # The counter has not moved, and yet the values are others.
    same = tensor is not None and then == now
    if finding.saved is not None:
        by, module = finding.saved.what, finding.saved.module
        where = f"{by}, {module}" if module else by
        key = "saved" if tensor is not None else "built"
        yield finding.saved, say(f"player.card.{key}", name=name, by=where), _word(then)
    # One place is told once.
    if finding.cause is not None and finding.cause not in (finding.mutated, finding.failed):
        yield finding.cause, say("player.card.began", what=told(finding.cause.what)), ""
    refused = finding.failed is not None and finding.saved is None
    if finding.mutated is not None and not (refused and finding.mutated == finding.failed):
        change = f"{_word(then) or '?'} → {_word(now, same)}" if now is not None else ""
        yield finding.mutated, say("player.card.written", by=told(finding.mutated.what)), change
    if finding.freed is not None:
        yield finding.freed, say("player.card.freed", by=told(finding.freed.what)), ""
    if finding.failed is None:
        return
    text = _failed(finding, then, now)
    yield finding.failed, text, _word(now, same and finding.saved is not None)


def _failed(finding: Finding, then: int | None, now: int | None) -> str:
    assert finding.failed is not None
    if finding.tensor is not None and then is None and now is not None:
        return say("player.card.needed_saved", now=now)
    if finding.tensor is not None and now != then:
        return say("player.card.needed", then=then, now=now)
    if finding.tensor is not None and finding.saved is not None:
        return say("player.card.used")
    if finding.freed is not None:
        return say("player.card.needed_again")
    if finding.severity == "error":
        return say("player.card.refused")
    return say("player.card.took_effect", what=told(finding.failed.what))


def _word(version: int | None, other_values: bool = False) -> str:
    """A version such as ``v1``; ``v1*`` where the values are not those of version 1."""
    if version is None or version < 0:
        return ""
    return f"v{version}*" if other_values else f"v{version}"
