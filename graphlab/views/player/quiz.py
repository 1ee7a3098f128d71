"""Questions before certain steps. No answer is written down here: each is read at a path of the
recorded document, and the page shows that path with what stands there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from graphlab.trace.film import Film, at, document
from graphlab.trace.model import Backward, Step, Trace, Write

Question = dict[str, Any]

NONE_OF_THEM = "none of them"


def questions(trace: Trace, film: Film) -> list[Question]:
    """Each question has the `step` before which it is asked, its `options`, the numbers of those
    that are the `answer` (`many` of them may be), and the `proof`: paths into
    ``document(trace, film)``, and the values there. What has been asked and answered in the same
    words is not asked again."""
    found: dict[tuple[str, tuple[int, ...]], Question] = {}
    for each in _all(Reader(document(trace, film)), film):
        found.setdefault((each["text"], tuple(each["answer"])), each)
    return list(found.values())


class Reader:
    """Reads a document at paths, and remembers what it read: the proof of an answer."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self.read: list[list[str]] = []

    def __call__(self, path: str) -> Any:
        value = at(self._whole, path)
        self.read.append([path, json.dumps(value, ensure_ascii=False)])
        return value

    def proof(self) -> list[list[str]]:
        read, self.read = self.read, []
        return read


def _all(read: Reader, film: Film) -> Iterator[Question]:
    losses = [event.loss for event in film.events if isinstance(event, Backward)]
    owners = [owner for owner in (each.owner for each in film.tensors) if owner is not None]
    for step, moment in enumerate(film.moments):
        # Nothing stands before the first step, so nothing can be asked before it.
        for number in moment.events if step else ():
            event, path = film.events[number], f"/film/events/{number}"
            if isinstance(event, Backward):
                raised = read(f"{path}/raised")
                text = f"Will {event.call} in line {moment.at.line} raise an error?"
                right = ["yes" if raised else "no"]
                yield _question(read, step, text, ["yes", "no"], right, many=False)
                if not raised and event.reached:
                    right = _owners(read, film, f"{path}/reached", event.reached)
                    text = f"Whose gradients does {event.call} write?"
                    yield _question(read, step, text, owners, right)
            elif isinstance(event, Step):
                name = film.optimizers[event.optimizer]
                if event.sources:
                    sources = read(f"{path}/sources")
                    text = f"Whose gradient does {name}.step() apply?"
                    yield _question(read, step, text, losses, sources)
                right = _written(read, film, moment.events, f"{name}.step()")
                if not right:
                    read(f"/film/moments/{step}/events")
                text = f"Whose parameters does {name}.step() write?"
                options = [*dict.fromkeys(owners), NONE_OF_THEM]
                yield _question(read, step, text, options, right or [NONE_OF_THEM])


def _question(
    read: Reader,
    step: int,
    text: str,
    options: Iterable[str],
    right: list[str],
    many: bool = True,
) -> Question:
    options = list(dict.fromkeys([*options, *right]))
    return {
        "step": step,
        "text": text,
        "many": many,
        "options": options,
        "answer": sorted(options.index(each) for each in right),
        "proof": read.proof(),
    }


def _owners(read: Reader, film: Film, path: str, tensors: Iterable[int]) -> list[str]:
    """Whose the tensors listed at `path` are, each owner read at the first that is its own."""
    found: dict[str, None] = {}
    for place, tensor in enumerate(tensors):
        if film.tensors[tensor].owner not in (None, *found):
            found[read(f"/film/tensors/{read(f'{path}/{place}')}/owner")] = None
    return list(found)


def _written(read: Reader, film: Film, events: Iterable[int], by: str) -> list[str]:
    found: dict[str, None] = {}
    for number in events:
        event = film.events[number]
        if isinstance(event, Write) and event.by == by and event.tensor >= 0:
            if film.tensors[event.tensor].owner in (None, *found):
                continue
            tensor = read(f"/film/events/{number}/tensor")
            found[read(f"/film/tensors/{tensor}/owner")] = None
    return list(found)
