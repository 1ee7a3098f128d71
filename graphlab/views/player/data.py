"""Computes what the player shows at each step from a Trace and its film, without torch or HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphlab.language import say
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.graph import NONE, SavedTensor
from graphlab.trace.model import Backward, Event, Refused, Step, Trace, Write, ZeroGrad
from graphlab.views.figure.grouping import failed_backward
from graphlab.views.figure.words import dims, where
from graphlab.views.player.comments import Comments
from graphlab.views.player.ledger import entries, ledger
from graphlab.views.player.spread import spread
from graphlab.views.player.texts.cards import card
from graphlab.views.player.texts.sentences import sentence
from graphlab.views.player.timeline import Timeline
from graphlab.views.player.watched import explained, watched
from graphlab.views.terminal.story import shorten

Data = dict[str, Any]


def data(
    trace: Trace, film: Film, findings: Iterable[Finding], whys: Mapping[str, str] | None = None
) -> Data:
    """Everything that the page shows of one recorded iteration, as JSON values. `whys` has a text
    for each rule's code: why what it finds is bad."""
    timeline = Timeline(trace, film)
    comments = Comments(timeline)
    tensors = _tensors(timeline)
    saved = _saved(timeline, tensors)
    findings = list(findings)
    infos = [each for each in findings if each.severity == "info"]
    findings = [each for each in findings if each.severity != "info"]
    if film.graph is not None:
        explained(film.graph, saved)
    follow = watched(timeline, findings, tensors, saved)
    told_of = [card(timeline, each, (whys or {}).get(each.code, "")) for each in findings]
    reached, spoken = spread(timeline)
    crash = None if told_of else _crashed(timeline)
    failed = [each["step"] for each in (*told_of, crash) if each and each["step"] is not None]
    return {
        "title": trace.target,
        "moment": _moment(timeline),
        "files": [
            {
                "name": shorten(name),
                "lines": timeline.lines[name],
                "hidden": comments.hidden(name),
                "remarks": comments.own_lines(name),
            }
            for name in timeline.files
        ],
        "steps": [
            _step(timeline, comments, at, saved, follow, spoken.get(at, ""))
            for at in range(len(timeline))
        ],
        "reached": reached,
        "marks": _marks(timeline, saved),
        "watched": follow["row"] if follow is not None else None,
        "failing_at": follow["failing"] if follow is not None else None,
        "tensors": tensors,
        "saved": saved,
        "ledger": ledger(timeline),
        "entries": entries(timeline),
        "findings": told_of,
        "infos": [card(timeline, each, "") for each in infos],
        "crash": crash,
        "asked": comments.questions(),
        "start": failed[0] if failed else 0,
    }


def _crashed(timeline: Timeline) -> Data | None:
    """The exception that ended the run, for a run without findings; None without an exception."""
    error = timeline.trace.exception
    if error is None:
        return None
    return {"type": error.type, "message": error.message, "step": timeline.crash}


def _moment(timeline: Timeline) -> list[str]:
    """Two texts: which iteration it is and what is left out; how the run ended, if it raised."""
    film, error = timeline.film, timeline.trace.exception
    words = []
    if film.iteration is not None:
        words.append(say("player.moment.iteration", number=film.iteration))
    if film.left_out:
        words.append(say("player.moment.left_out", count=film.left_out))
    raised = ""
    if error is not None:
        elsewhere = "elsewhere" if timeline.crash is None else "raised"
        raised = say(f"player.moment.{elsewhere}", type=error.type)
    return [", ".join(words), raised]


def _step(
    timeline: Timeline,
    comments: Comments,
    at: int,
    saved: list[Data],
    follow: Data | None,
    spoken: str,
) -> Data:
    moment = timeline.film.moments[at]
    notes = [say("player.page.note", text=each) for each in comments.notes(at)]
    found: Data = {
        "file": timeline.files.index(moment.at.file),
        "line": moment.at.line,
        # The page accesses all lines of a step, so there must be no more than the file has.
        "end": min(moment.at.end_line, len(timeline.lines[moment.at.file])),
        "here": where(moment.at),
        "kind": "raised" if at == timeline.crash else _kind(timeline.events[at]),
        "say": "\n".join(filter(None, [sentence(timeline, at, saved, follow), spoken, *notes])),
        "made": timeline.made[at],
        "nodes": _highlighted(timeline, at),
        "optimizers": _optimizers(timeline, at),
    }
    return found


def _kind(events: list[Event]) -> str:
    """The kind of mark that a step gets on the slider."""
    for event in events:
        if isinstance(event, Backward):
            return "raised" if event.raised else "backward"
        if isinstance(event, Refused):
            return "raised"
    for kind, name in ((Step, "step"), (ZeroGrad, "zero"), (Write, "write")):
        if any(isinstance(event, kind) for event in events):
            return name
    return "line"


def _highlighted(timeline: Timeline, at: int) -> list[int]:
    """The graph nodes to highlight at a step: those that it made, ran backward or wrote."""
    graph = timeline.film.graph
    if graph is None:
        return []
    nodes = dict.fromkeys(timeline.made[at])
    for number in timeline.film.moments[at].events:
        event = timeline.film.events[number]
        if isinstance(event, Backward):
            nodes.update(dict.fromkeys(timeline.passages.get(number, ())))
            if event.raised:
                nodes.update(dict.fromkeys(_failing(timeline, event)))
        elif isinstance(event, Write | Refused) and event.tensor >= 0:
            name = timeline.names[event.tensor]
            nodes.update({node: None for node, leaf in graph.leaves.items() if leaf.name == name})
    return list(nodes)


def _failing(timeline: Timeline, event: Backward) -> tuple[int, ...]:
    graph = timeline.film.graph
    assert graph is not None
    found = failed_backward(graph)
    if found is not None and graph.roots[found.root].call == event.call:
        return found.path
    return tuple(root.node for root in graph.roots if root.call == event.call and root.node != NONE)


def _marks(timeline: Timeline, saved: list[Data]) -> list[int] | None:
    """The steps from which on the figure's marks ①, ② and ③ are seen: the save, the write and the
    backward that fails, or that uses what it should not; None where no backward does."""
    graph = timeline.film.graph
    failed = failed_backward(graph) if graph is not None else None
    if graph is None or failed is None:
        return None
    root, last = graph.roots[failed.root], len(timeline) - 1
    at = timeline.step_with(Backward, root.at, root.call)
    end = at if at is not None else last
    for each in saved:
        if (each["node"], each["slot"]) == (failed.node, failed.saved.slot):
            gone = each["freed"] if failed.saved.state == "freed" else each["stale"]
            # What was freed is not named before: its mark says that it is gone.
            first = gone if failed.saved.state == "freed" else each["born"]
            return [first if first is not None else end, gone if gone is not None else end, end]
    return [end, end, end]


def _optimizers(timeline: Timeline, at: int) -> list[str]:
    """The optimizers that run in a step of the timeline."""
    found: dict[str, None] = {}
    for event in timeline.events[at]:
        if isinstance(event, Step):
            found[timeline.film.optimizers[event.optimizer]] = None
        elif isinstance(event, ZeroGrad):
            found[event.target.removesuffix(".zero_grad()")] = None
    return list(found)


def _tensors(timeline: Timeline) -> list[Data]:
    """The parameters' rows; a row's history is ``[step, version, has a gradient, losses]``."""
    film = timeline.film
    history: dict[int, list[list[Any]]] = {}
    values: dict[int, list[list[Any]]] = {}
    moments = [film.before, *(moment.changes for moment in film.moments)]
    for at, changes in enumerate(moments):
        step = max(at - 1, 0)
        for change in changes:
            row = [step, change.version, change.grad, list(change.losses)]
            _append(history.setdefault(change.tensor, []), row)
            if change.values is not None:
                _append(values.setdefault(change.tensor, []), [step, list(change.values)])
    # The steps that wrote a tensor and left its version as it was.
    unseen: dict[int, list[int]] = {}
    for number, event in enumerate(film.events):
        if isinstance(event, Write) and event.silent and event.tensor >= 0:
            unseen.setdefault(event.tensor, []).append(timeline.step_of[number])
    found = []
    for tensor, rows in sorted(history.items()):
        info = film.tensors[tensor]
        found.append(
            {
                "name": timeline.names[tensor],
                "owner": info.owner or "",
                "shape": dims(info.shape),
                "history": rows,
                "values": values.get(tensor, []),
                "unseen": unseen.get(tensor, []),
            }
        )
    return found


def _append(history: list[list[Any]], row: list[Any]) -> None:
    """Add a state; what the first step changed is never shown as it was before."""
    if history and history[-1][0] == row[0]:
        history.pop()
    history.append(row)


def _saved(timeline: Timeline, tensors: list[Data]) -> list[Data]:
    """The tensors that the graph's nodes saved, with the step at which each was saved (`born`),
    `freed` by a backward that did not retain the graph, and made `stale` by a write.

    A row is added to `tensors` for each saved tensor with a name that has none."""
    graph = timeline.film.graph
    if graph is None:
        return []
    rows = {each["name"]: at for at, each in enumerate(tensors)}
    freeing = _freeing(timeline)
    found = []
    for node, slots in graph.saved.items():
        born = timeline.begun(graph.sequences[node]) if graph.sequences else None
        for each in slots:
            # -1 stands for the time before the first step.
            begin = born if born is not None else -1
            stale = _written(timeline, each, begin)
            if each.tensor and each.tensor not in rows:
                rows[each.tensor] = len(tensors)
                tensors.append(_value(each, begin, stale))
            freed = next((step for step, nodes in freeing if node in nodes), None)
            if freed is None and each.state == "freed":
                freed = timeline.step_with(Backward, each.at, each.by)
            found.append(
                {
                    "node": node,
                    "slot": each.slot,
                    "row": rows.get(each.tensor or ""),
                    "tensor": each.tensor,
                    "version": each.saved_version,
                    "now": each.version if each.state in ("stale", "bypassed") else None,
                    "state": each.state,
                    "operation": graph.operations[node],
                    "line": graph.places[node].line if node in graph.places else None,
                    "born": begin,
                    "freed": freed,
                    "stale": stale,
                }
            )
    return found


def _value(saved: SavedTensor, born: int, stale: int | None) -> Data:
    """The row of a tensor that is no parameter. Its version is known when it was saved and when it
    was found stale; the film does not record its gradient."""
    history = [[born, saved.saved_version, None, []]] if saved.saved_version is not None else []
    if stale is not None and stale > born and saved.version is not None:
        history.append([stale, saved.version, None, []])
    return {
        "name": saved.tensor,
        "owner": "",
        "shape": dims(saved.shape),
        "history": history,
        "unseen": [],
    }


def _freeing(timeline: Timeline) -> list[tuple[int, frozenset[int]]]:
    found = []
    for number, nodes in timeline.passages.items():
        event = timeline.film.events[number]
        if isinstance(event, Backward) and not event.retain_graph and not event.raised:
            found.append((timeline.step_of[number], frozenset(nodes)))
    return found


def _written(timeline: Timeline, saved: SavedTensor, born: int) -> int | None:
    """The step that wrote a stale tensor. Without one it is -1 (before the film) if the tensor was
    saved before the film, else the last step, where the graph was inspected."""
    if saved.state not in ("stale", "bypassed"):
        return None
    for number, event in enumerate(timeline.film.events):
        if (
            isinstance(event, Write)
            and (event.by, event.at) == (saved.by, saved.at)
            and (event.tensor < 0 or timeline.names[event.tensor] == saved.tensor)
        ):
            return timeline.step_of[number]
    found = timeline.at(saved.at)
    if found is not None and found > born:
        return found
    return -1 if born < 0 else len(timeline) - 1
