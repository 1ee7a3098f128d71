"""Indexes the film of one iteration by step.

A step is one moment of the film, not an optimizer's step. Steps count from 0 here, and from 1 on
the page. What changes from step to step is stored as a history ``[[step, …], …]`` in ascending
order: the state at step n is the last entry with a step of at most n.
"""

from __future__ import annotations

from bisect import bisect_right

from graphlab.text import lines_of
from graphlab.trace.film import Film, StaleGradient
from graphlab.trace.model import Backward, Event, Location, Trace, Write


class Timeline:
    """A film with its events, nodes and versions by step."""

    def __init__(self, trace: Trace, film: Film) -> None:
        self.trace, self.film = trace, film
        self.files = list(film.sources)
        self.lines = {name: lines_of(source) for name, source in film.sources.items()}
        self.names = [each.name or f"tensor {at}" for at, each in enumerate(film.tensors)]
        self.events = [[film.events[at] for at in each.events] for each in film.moments]
        self.step_of = {at: step for step, each in enumerate(film.moments) for at in each.events}
        self._starts = [each.seq for each in film.moments]
        self.made = self._made()
        self.passages = {each.backward: each.nodes for each in film.passages}
        self.gradients: dict[int, list[StaleGradient]] = {}
        for each in film.gradients:
            self.gradients.setdefault(each.backward, []).append(each)
        # The nodes whose value a variable of the program held, by its name.
        self.variables: dict[str, list[int]] = {}
        for node, name in (film.graph.variables if film.graph is not None else {}).items():
            self.variables.setdefault(name, []).append(node)
        self.crash = self._crash()
        self.kept = self._kept()

    def __len__(self) -> int:
        return len(self.film.moments)

    def _crash(self) -> int | None:
        """The step that raised the exception that ended the run; None if it is not in the film."""
        error, ends = self.trace.exception, self.film.events[-1:]
        last = [(each.seq, each.at) for each in self.trace.events[-1:]]
        if error is None or [(each.seq, each.at) for each in ends] != last:
            return None
        return self.at(error.at)

    def _kept(self) -> list[dict[int, int]]:
        """For each step, {tensor: version} of those that it wrote with their version unchanged."""
        known = {each.tensor: each.version for each in self.film.before if each.version >= 0}
        found: list[dict[int, int]] = []
        for moment, events in zip(self.film.moments, self.events, strict=True):
            now = {each.tensor: each.version for each in moment.changes}
            written = {each.tensor for each in events if isinstance(each, Write)} & known.keys()
            still = [at for at in written if now.get(at, known[at]) == known[at]]
            found.append({at: known[at] for at in still})
            known.update(now)
        return found

    def begun(self, seq: int) -> int | None:
        """The step at which the node with this sequence number was made."""
        step = bisect_right(self._starts, seq) - 1
        return step if seq >= 0 and step >= 0 else None

    def _made(self) -> list[list[int]]:
        """The graph nodes that each step made."""
        found: list[list[int]] = [[] for _ in self.film.moments]
        graph = self.film.graph
        if graph is not None:
            leaves = graph.leaves.keys()
            for node, seq in enumerate(graph.sequences):
                step = self.begun(seq) if node not in leaves else None
                if step is not None:
                    found[step].append(node)
        return found

    def at(self, place: Location | None, last: int | None = None) -> int | None:
        """The last step, up to `last`, that ran the line of `place`; None if there is none."""
        if place is None:
            return None
        for step in range(len(self) - 1 if last is None else last, -1, -1):
            here = self.film.moments[step].at
            if here.file == place.file and here.line <= place.line <= here.end_line:
                return step
        return None

    def step_with(self, kind: type[Event], at: Location | None, by: str) -> int | None:
        """The step of the first event of class `kind` at `at` that was done by `by`, or None."""
        for number, event in enumerate(self.film.events):
            if isinstance(event, kind) and event.at == at:
                text = event.call if isinstance(event, Backward) else getattr(event, "by", by)
                if text == by:
                    return self.step_of[number]
        return None
