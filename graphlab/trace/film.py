"""The film of one iteration: its lines in the order in which they ran, and what each of them did.

A Trace keeps events; a film keeps the lines between them as well, the state of every optimized
parameter after each, and the graph. It travels in the Trace's own file, under `film`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from graphlab.trace import graph as graphs
from graphlab.trace import store
from graphlab.trace.checked import In, Misfit, an_object, build, parse, short, sizes_of
from graphlab.trace.graph import Graph
from graphlab.trace.model import Count, Event, EventAt, Location, TensorAt, TensorInfo, Trace


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a parameter: its version counter (-1 where it has none), whether it has a
    gradient, and the losses whose backward is in that gradient."""

    tensor: TensorAt
    version: int
    grad: bool
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """One line as it ran. `seq` is autograd's sequence number as it began, so the nodes that it
    made are those up to the next moment's. `events` are positions in `Film.events`; `changes` is
    what differs once it has run. `resumed`: the line went on after a call of the user's own."""

    seq: int
    at: Location
    events: tuple[EventAt, ...] = ()
    changes: tuple[Change, ...] = ()
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """The graph's nodes that a backward ran through; `backward` is its place in `Film.events`."""

    backward: EventAt
    nodes: tuple[Annotated[int, In("nodes")], ...]


@dataclass(frozen=True, slots=True)
class Film:
    """`before` is the state as the first moment began. `left_out` counts lines that ran before it
    and were too many to keep; `events` refer to the film's own `tensors`, and to `optimizers` by
    their place."""

    iteration: int | None = None
    tensors: tuple[TensorInfo, ...] = ()
    optimizers: tuple[str, ...] = ()
    before: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    moments: tuple[Moment, ...] = ()
    passages: tuple[Passage, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    left_out: Count = 0
    graph: Graph | None = None


def plain(film: Film) -> dict[str, Any]:
    """The film as JSON values, the graph in its own schema."""
    found = store.plain(replace(film, graph=None))
    if film.graph is not None:
        found["graph"] = graphs.document(film.graph)
    return found


def document(trace: Trace, film: Film | None) -> dict[str, Any]:
    """The whole of a Trace's file as JSON values: what a path such as ``/film/events/3`` is
    looked up in."""
    whole = {"schema": store.SCHEMA, **store.plain(trace)}
    return {**whole, "film": plain(film)} if film is not None else whole


def dumps(trace: Trace, film: Film | None) -> str:
    """A Trace's file with its film, which a reader of Traces alone leaves out."""
    return store.text_of(document(trace, film))


def loads(text: str) -> Film | None:
    """The film in a Trace's file, None where there is none.

    Raises:
        ValueError: as for `opened`.
    """
    return opened(text)[1]


def opened(text: str) -> tuple[Trace, Film | None]:
    """The Trace in a file, and its film, None where there is none.

    Raises:
        ValueError: when `text` is not such a document; it says where it is not.
    """
    data = parse(text)
    trace, film = store.read(data), data.get("film")
    try:
        return trace, _read(film) if film is not None else None
    except Misfit as misfit:
        raise misfit.under(".film") from None


def _read(data: Any) -> Film:
    graph = an_object(data).get("graph")
    sizes = sizes_of(data, "tensors", "optimizers", "events")
    sizes |= sizes_of(graph if isinstance(graph, dict) else {}, "nodes")
    film = build(Film, {**data, "graph": None}, sizes)
    store.readable(film.sources)
    _played(film)
    try:
        return replace(film, graph=graphs.read(graph) if graph is not None else None)
    except Misfit as misfit:
        raise misfit.under(".graph") from None


def _played(film: Film) -> None:
    """Whoever plays a film looks for the moment of each event, and for the source of each moment.

    Raises:
        Misfit: where there is none.
    """
    shown = {at for moment in film.moments for at in moment.events}
    for at in range(len(film.events)):
        if at not in shown:
            raise Misfit("no moment has this event").under(f".events[{at}]")
    for at, moment in enumerate(film.moments):
        if moment.at.file not in film.sources:
            problem = f"there is no source of {short(moment.at.file)}"
            raise Misfit(problem).under(f".moments[{at}].at.file")


def at(document: Any, path: str) -> Any:
    """What stands at a path such as ``/film/events/3/raised`` of a document.

    Raises:
        KeyError, IndexError: where there is nothing.
    """
    value = document
    for word in path.strip("/").split("/"):
        value = value[int(word)] if isinstance(value, list) else value[word]
    return value
