"""Makes the quiz: questions before certain steps, answered from values of the recorded document.

The page shows the path of each such value as the proof of the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from graphlab.trace.film import Film, at, document
from graphlab.trace.model import Backward, Step, Trace, Write

Question = dict[str, Any]

NONE_OF_THEM = "none of them"


def questions(trace: Trace, film: Film) -> list[Question]:
    """The questions about a run, without repetitions.

    step: the step before which it is asked. options: the possible answers, answer: the indices of
    the right ones; many: whether there may be several. proof: the paths in
    ``document(trace, film)`` that the answer was read from, with the values.
    """
    found: dict[tuple[str, tuple[int, ...]], Question] = {}
    for each in _all(Reader(document(trace, film)), film):
        found.setdefault((each["text"], tuple(each["answer"])), each)
    return list(found.values())


class Reader:
    """Reads values of a document by path, and records them as the proof of an answer."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self.read: list[list[str]] = []

    def __call__(self, path: str) -> Any:
        value = at(self._whole, path)
        self.read.append([path, json.dumps(value, ensure_ascii=False)])
        return value

    def proof(self) -> list[list[str]]:
        """The [path, value as JSON] pairs read since the last call."""
        read, self.read = self.read, []
        return read


def _all(read: Reader, film: Film) -> Iterator[Question]:
    losses = [event.loss for event in film.events if isinstance(event, Backward)]
    owners = [owner for owner in (each.owner for each in film.tensors) if owner is not None]
    for step, moment in enumerate(film.moments):
        # A question is shown at the step before, and the first step has none.
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
    """The owners of the tensors listed at `path`; each is read once, at its first tensor."""
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
