"""Makes the quiz: questions before certain steps, answered from values of the recorded document.

The page shows the answer in words, and below it the path of each such value as the proof.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from graphlab.language import say, told
from graphlab.trace.film import Film, at, document
from graphlab.trace.finding import Finding
from graphlab.trace.model import Backward, Step, Trace, Write

Question = dict[str, Any]


def questions(
    trace: Trace,
    film: Film,
    findings: Sequence[Finding] = (),
    watched: str | None = None,
    holder: dict[str, Any] | None = None,
) -> list[Question]:
    """The questions about a run, without repetitions; `watched` is the tensor that the page
    follows, and `holder` has what a backward that fails at it needs it for.

    step: the step before which it is asked, or the number of steps for what is asked at the end.
    options: the possible answers, answer: the indices of the right ones; many: whether there may be
    several; words: why. proof: the paths in ``document(trace, film)`` that the answer was read
    from, with the values.
    """
    found: dict[tuple[str, tuple[int, ...]], Question] = {}
    for each in _Quiz(document(trace, film), film, findings, watched, holder).all():
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


class _Quiz:
    def __init__(
        self,
        whole: dict[str, Any],
        film: Film,
        findings: Sequence[Finding],
        watched: str | None,
        holder: dict[str, Any] | None,
    ) -> None:
        self.read, self.film, self.findings, self.watched = Reader(whole), film, findings, watched
        self.holder = holder
        owners = [each.owner for each in film.tensors]
        self.owners = [owner for owner in owners if owner is not None]
        self.losses = [event.loss for event in film.events if isinstance(event, Backward)]
        self._asked = 0

    def all(self) -> Iterator[Question]:
        yield from self._kept()
        for step, moment in enumerate(self.film.moments):
            # A question is shown at the step before, and the first step has none.
            for number in moment.events if step else ():
                event = self.film.events[number]
                if isinstance(event, Backward):
                    yield from self._backward(step, number, event)
                elif isinstance(event, Step):
                    yield from self._step(step, number, event)
        yield from self._repair()

    def _kept(self) -> Iterator[Question]:
        """What backward keeps of a tensor, asked where the watched one is saved first."""
        graph = self.film.graph
        if graph is None or not graph.sequences:
            return
        starts = [moment.seq for moment in self.film.moments]
        for node, slot, version in self._saved():
            step = sum(1 for seq in starts if seq <= graph.sequences[node]) - 1
            if step > 0 and version is not None:
                self.read(f"/film/graph/nodes/{node}/saved/{slot}/saved_version")
                line = self.film.moments[step].at.line
                text = say("player.quiz.kept", line=line, name=self.watched)
                right = say("player.quiz.kept_itself", version=version)
                wrong = [say("player.quiz.kept_copy"), say("player.quiz.kept_nothing")]
                words = say("player.quiz.kept_why", name=self.watched, version=version)
                yield self._question(step, text, self._mixed(right, wrong), [right], words)
                return

    def _saved(self) -> Iterator[tuple[int, int, int | None]]:
        """(node, position, version) of each time that the watched tensor was saved, in the order in
        which the program did."""
        graph = self.film.graph
        if graph is None:
            return
        order = graph.sequences or range(len(graph))
        for node in sorted(graph.saved, key=lambda each: order[each]):
            for slot, each in enumerate(graph.saved[node]):
                if each.tensor is not None and each.tensor == self.watched:
                    yield node, slot, each.saved_version

    def _backward(self, step: int, number: int, event: Backward) -> Iterator[Question]:
        path = f"/film/events/{number}"
        yield from self._purpose(step, number, event)
        yield from self._needed(step, number, event)
        line = self.film.moments[step].at.line
        yes, no = say("player.quiz.yes"), say("player.quiz.no")
        raised = self.read(f"{path}/raised")
        states = {each.state for each in event.problems}
        if raised:
            key = "raised" if states & {"stale", "freed"} else "other"
            words = say(f"player.quiz.{key}", type=raised)
        else:
            words = say(f"player.quiz.{'silent' if 'bypassed' in states else 'fine'}")
        text = say("player.quiz.will_raise", call=event.call, line=line)
        yield self._question(step, text, [yes, no], [yes if raised else no], words)
        if self.read(f"{path}/retain_graph"):
            text = say("player.quiz.retain", call=event.call)
            right = say("player.quiz.retain_graph")
            wrong = [say("player.quiz.retain_values"), say("player.quiz.retain_gradients")]
            words = say("player.quiz.retain_why")
            yield self._question(step, text, self._mixed(right, wrong), [right], words)
        self.read.proof()
        if not raised and event.reached:
            right = self._owners(f"{path}/reached", event.reached)
            text = say("player.quiz.whose_gradients", call=event.call)
            words = say("player.quiz.whose_gradients_why")
            yield self._question(step, text, self.owners, right, words, many=True)

    def _purpose(self, step: int, number: int, event: Backward) -> Iterator[Question]:
        """What a backward needs the watched tensor for, where it finds it written over."""
        graph = self.film.graph
        bad = {at for at, each in enumerate(event.problems) if self._of(each.tensor)}
        if graph is None or not bad or self.holder is None:
            return
        text, line, beyond = (self.holder[key] for key in ("formula", "line", "beyond"))
        if not text or not beyond or line is None:
            return
        self.read(f"/film/events/{number}/problems/{min(bad)}/tensor")
        told = {"formula": text, "beyond": beyond, "name": self.watched, "line": line}
        right = say("player.quiz.purpose_formula", **told)
        wrong = [say("player.quiz.purpose_update", **told), say("player.quiz.purpose_again")]
        asked = say("player.quiz.purpose", call=event.call, name=self.watched)
        words = say("player.quiz.purpose_why", **told)
        yield self._question(step, asked, self._mixed(right, wrong), [right], words)

    def _of(self, tensor: int) -> bool:
        return tensor >= 0 and self._is(self.film.tensors[tensor].name)

    def _needed(self, step: int, number: int, event: Backward) -> Iterator[Question]:
        """Which version of the watched tensor a backward needs, where it had several."""
        graph = self.film.graph
        ran = next((each.nodes for each in self.film.passages if each.backward == number), ())
        tensors = [tensor for tensor, each in enumerate(self.film.tensors) if self._is(each.name)]
        changes = [*self.film.before, *(c for each in self.film.moments for c in each.changes)]
        known = {each.version for each in changes if each.tensor in tensors and each.version >= 0}
        if graph is None or len(known) < 2:
            return
        needed = {}
        for place, each in enumerate(event.problems):
            if each.tensor in tensors and each.saved_version is not None:
                needed[each.saved_version] = f"/film/events/{number}/problems/{place}/saved_version"
        for node, slot, version in self._saved():
            if node in ran and version is not None:
                needed[version] = f"/film/graph/nodes/{node}/saved/{slot}/saved_version"
        if len(needed) != 1:
            return
        ((version, path),) = needed.items()
        self.read(path)
        text = say("player.quiz.needed", call=event.call, name=self.watched)
        words = say("player.quiz.needed_why", name=self.watched, version=version)
        options = [f"v{each}" for each in sorted({*known, version})]
        yield self._question(step, text, options, [f"v{version}"], words)

    def _is(self, name: str | None) -> bool:
        return name is not None and name == self.watched

    def _step(self, step: int, number: int, event: Step) -> Iterator[Question]:
        film, name = self.film, f"{self.film.optimizers[event.optimizer]}.step()"
        if event.sources:
            sources = self.read(f"/film/events/{number}/sources")
            text = say("player.quiz.whose_gradient", call=name)
            words = say("player.quiz.whose_gradient_why")
            yield self._question(step, text, self.losses, sources, words, many=True)
        yield from self._versions(step, name)
        right = self._written(film.moments[step].events, name)
        if not right:
            self.read(f"/film/moments/{step}/events")
        text = say("player.quiz.whose_parameters", call=name)
        nobody = say("player.quiz.nobody")
        options = [*dict.fromkeys(self.owners), nobody]
        words = say("player.quiz.whose_parameters_why")
        yield self._question(step, text, options, right or [nobody], words, many=True)

    def _versions(self, step: int, name: str) -> Iterator[Question]:
        for number in self.film.moments[step].events:
            event = self.film.events[number]
            if not isinstance(event, Write) or event.by != name or event.tensor < 0:
                continue
            tensor = self.film.tensors[event.tensor].name
            if not self._is(tensor) or None in (event.before, event.after):
                continue
            before = self.read(f"/film/events/{number}/before")
            after = self.read(f"/film/events/{number}/after")
            text = say("player.quiz.version", name=tensor, version=before, call=name)
            options = [f"v{each}" for each in sorted({before, before + 1, before + 2, after})]
            key = "counted" if before != after else "not_counted"
            words = say(f"player.quiz.{key}", name=tensor)
            yield self._question(step, text, options, [f"v{after}"], words)
            return

    def _repair(self) -> Iterator[Question]:
        """Which change mends it, asked at the end of a run with a stale tensor."""
        for finding in self.findings:
            if finding.code not in ("GL001", "GL105") or not finding.help or not finding.failed:
                continue
            call = finding.failed.what
            for number, event in enumerate(self.film.events):
                if not isinstance(event, Backward) or event.call != call or not event.problems:
                    continue
                self.read(f"/film/events/{number}/problems/0/state")
                right = told(finding.help[0].text)
                wrong = [
                    say("player.quiz.mend_retain", call=call),
                    say("player.quiz.mend_data"),
                    say("player.quiz.mend_detach", loss=event.loss),
                ]
                text, words = say("player.quiz.mend"), say("player.quiz.mend_why")
                end = len(self.film.moments)
                yield self._question(end, text, self._mixed(right, wrong), [right], words)
                return

    def _mixed(self, right: str, wrong: list[str]) -> list[str]:
        """All answers, the right one not always at the same place."""
        self._asked += 1
        place = self._asked % (len(wrong) + 1)
        return [*wrong[:place], right, *wrong[place:]]

    def _question(
        self,
        step: int,
        text: str,
        options: Iterable[str],
        right: list[str],
        words: str,
        many: bool = False,
    ) -> Question:
        options = list(dict.fromkeys([*options, *right]))
        return {
            "step": step,
            "text": text,
            "many": many,
            "options": options,
            "answer": sorted(options.index(each) for each in right),
            "words": words,
            "proof": self.read.proof(),
        }

    def _owners(self, path: str, tensors: Iterable[int]) -> list[str]:
        """The owners of the tensors listed at `path`; each is read once, at its first tensor."""
        found: dict[str, None] = {}
        for place, tensor in enumerate(tensors):
            if self.film.tensors[tensor].owner not in (None, *found):
                found[self.read(f"/film/tensors/{self.read(f'{path}/{place}')}/owner")] = None
        return list(found)

    def _written(self, events: Iterable[int], by: str) -> list[str]:
        found: dict[str, None] = {}
        for number in events:
            event = self.film.events[number]
            if isinstance(event, Write) and event.by == by and event.tensor >= 0:
                if self.film.tensors[event.tensor].owner in (None, *found):
                    continue
                tensor = self.read(f"/film/events/{number}/tensor")
                found[self.read(f"/film/tensors/{tensor}/owner")] = None
        return list(found)
