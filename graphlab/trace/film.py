"""The film of one iteration: every line that ran, in order, with its effects; and its JSON.

A Trace holds events only. A film also holds the lines without events, the state of every optimized
parameter after each line, and the graph. It is stored in the Trace's file, under `film`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from graphlab.language.stored import keyed, messages_in
from graphlab.trace import graph as graphs
from graphlab.trace import store
from graphlab.trace.checked import (
    DocumentError,
    PositionIn,
    an_object,
    build,
    parse,
    short,
    sizes_of,
)
from graphlab.trace.graph import Graph
from graphlab.trace.model import Count, Event, EventAt, Location, TensorAt, TensorInfo, Trace
from graphlab.trace.values import Values


@dataclass(frozen=True, slots=True)
class Change:
    """The new state of a parameter: its version counter (-1 if it has none), whether it has a
    gradient, the losses whose backward contributed to that gradient, and its values if they are
    few."""

    tensor: TensorAt
    version: int
    grad: bool
    losses: tuple[str, ...] = ()
    values: Values | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One run of one line.

    seq: autograd's sequence number when it began; the line made the nodes from there up to the
    next moment's. events: indices into `Film.events`. changes: the parameters that differ after
    the line. resumed: the line continues after a call of a function of the user's.
    """

    seq: int
    at: Location
    events: tuple[EventAt, ...] = ()
    changes: tuple[Change, ...] = ()
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class NodesRun:
    """The graph nodes that a backward ran; `backward` is its index in `Film.events`."""

    backward: EventAt
    nodes: tuple[Annotated[int, PositionIn("nodes")], ...]


@dataclass(frozen=True, slots=True)
class StaleGradient:
    """The gradient of a small tensor in a backward that torch refuses for a stale tensor: the one
    with the values that were saved, and the one that the values of now would give."""

    backward: EventAt
    tensor: TensorAt
    right: Values
    stale: Values


@dataclass(frozen=True, slots=True)
class Film:
    """One iteration, line by line.

    before: the parameters' state at the first moment. left_out: how many earlier lines were
    dropped to limit the film's size. events: they refer to the film's own `tensors` and
    `optimizers` by index.
    """

    iteration: int | None = None
    tensors: tuple[TensorInfo, ...] = ()
    optimizers: tuple[str, ...] = ()
    before: tuple[Change, ...] = ()
    events: tuple[Event, ...] = ()
    moments: tuple[Moment, ...] = ()
    passages: tuple[NodesRun, ...] = ()
    gradients: tuple[StaleGradient, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    left_out: Count = 0
    graph: Graph | None = None


def plain(film: Film) -> dict[str, Any]:
    """The film as JSON values; the graph is a document of its own schema, graphlab.graph/1."""
    found = store.plain(replace(film, graph=None))
    if film.graph is not None:
        found["graph"] = graphs.document(film.graph)
    return found


def document(trace: Trace, film: Film | None) -> dict[str, Any]:
    """A Trace's file as JSON values, film included. Paths such as ``/film/events/3`` are looked
    up in it."""
    whole = {"schema": store.SCHEMA, **store.plain(trace)}
    return {**whole, "film": plain(film)} if film is not None else whole


def dumps(trace: Trace, film: Film | None) -> str:
    """The text of a Trace's file, film included. `store.loads` reads it too, without the film."""
    return store.text_of(store.with_texts(document(trace, film)))


def loads(text: str) -> Film | None:
    """The film in the text of a Trace's file, or None.

    Raises:
        ValueError: as for `loads_both`.
    """
    return loads_both(text)[1]


def loads_both(text: str) -> tuple[Trace, Film | None]:
    """The Trace and the film (or None) in the text of a Trace's file.

    Raises:
        ValueError: `text` is not such a document; the message names the place that is wrong.
    """
    data = parse(text)
    trace, film = store.read(data), data.get("film")
    try:
        return trace, keyed(_read(film), messages_in(data)) if film is not None else None
    except DocumentError as error:
        raise error.under(".film") from None


def _read(data: Any) -> Film:
    graph = an_object(data).get("graph")
    sizes = sizes_of(data, "tensors", "optimizers", "events")
    sizes |= sizes_of(graph if isinstance(graph, dict) else {}, "nodes")
    film = build(Film, {**data, "graph": None}, sizes)
    store.check_sources(film.sources)
    _check_moments(film)
    try:
        return replace(film, graph=graphs.read(graph) if graph is not None else None)
    except DocumentError as error:
        raise error.under(".graph") from None


def _check_moments(film: Film) -> None:
    """Check that each event belongs to a moment, and that each moment's source is in the film: the
    player looks both up.

    Raises:
        DocumentError: one of them is missing.
    """
    shown = {at for moment in film.moments for at in moment.events}
    for at in range(len(film.events)):
        if at not in shown:
            raise DocumentError("no moment has this event").under(f".events[{at}]")
    for at, moment in enumerate(film.moments):
        if moment.at.file not in film.sources:
            problem = f"there is no source of {short(moment.at.file)}"
            raise DocumentError(problem).under(f".moments[{at}].at.file")


def at(document: Any, path: str) -> Any:
    """The value at a path such as ``/film/events/3/raised`` of a document.

    Raises:
        KeyError, IndexError: the path leads nowhere.
    """
    value = document
    for word in path.strip("/").split("/"):
        value = value[int(word)] if isinstance(value, list) else value[word]
    return value
