"""What is refused of a saved trace or graph, and in which words: where, what was expected."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from graphlab.commands.render import Choice, render
from graphlab.commands.saved import load
from graphlab.errors import UserError
from graphlab.trace import film as films
from graphlab.trace import graph as graphs
from graphlab.trace.checked import AtMost, Between, PositionIn, build, sizes_of
from graphlab.trace.film import Change, Film, Moment
from graphlab.trace.graph import Call, Graph, Root
from graphlab.trace.model import (
    Backward,
    Environment,
    Location,
    OptimizerInfo,
    Saved,
    Step,
    TensorInfo,
    Trace,
)
from graphlab.trace.store import dumps, loads

AT = Location("a.py", 3, 5, 3, 9, "<module>", "x.backward()")
TRACE = Trace(
    "a.py", "completed", Environment("3.11", "2.13", "cpu", 2**64 - 1, "0"),
    tensors=(TensorInfo("w", "parameter", (2, 3), "float32"),),
    optimizers=(OptimizerInfo("opt", "SGD", 1, AT, owns=(0,)),),
    events=(
        Backward(1, AT, "x.backward()", "x", 0, False, (0,),
                 problems=(Saved(0, "MulBackward0", AT, None, 0, 1, 2, "stale", write=None),)),
        Step(2, AT, 0, 0),
    ),
    sources={"a.py": "import torch\n\nx.backward()\n"},
)  # fmt: skip
FILM = Film(
    0, TRACE.tensors, ("opt",), (Change(0, 0, False),), TRACE.events,
    (Moment(0, AT, (0,)), Moment(1, AT, (1,))), sources=TRACE.sources,
    graph=Graph(("A", "B"), ((1, -1), ()), (Root("x", 0),), (2, 1), calls=(Call("m", "M", 1),)),
)  # fmt: skip


def with_value(document: dict[str, Any], path: str, value: Any) -> str:
    """The document as text, with `value` at a path such as ``events/0/at``."""
    found = json.loads(json.dumps(document))
    *way, last = path.split("/")
    holder = found
    for word in way:
        holder = holder[int(word)] if isinstance(holder, list) else holder[word]
    holder[int(last) if isinstance(holder, list) else last] = value
    return json.dumps(found)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("target", 5, "target: expected str, found int"),
        ("target", None, "target: expected str, found null"),
        ("outcome", "won", "outcome: expected one of 'completed', 'raised', "),
        ("environment", [], "environment: expected an object, found a list"),
        ("environment/seed", 2**70, "environment.seed: 1180591620717411303424 is out of range"),
        ("tensors", {}, "tensors: expected a list, found an object"),
        ("tensors/0/name", 1, "tensors[0].name: expected str, found int"),
        ("tensors/0/kind", "weight", "tensors[0].kind: expected one of "),
        ("tensors/0/shape", [2, -3], "tensors[0].shape[1]: -3 is out of range"),
        ("tensors/0/shape", [2, 3.0], "tensors[0].shape[1]: expected int, found float"),
        ("tensors/0/shape", [1] * 201, "tensors[0].shape: expected at most 200 entries, found 201"),
        ("tensors/0/requires_grad", 1, "tensors[0].requires_grad: expected bool, found int"),
        ("iterations", True, "iterations: expected int, found bool"),
        ("iterations", -1, "iterations: -1 is out of range"),
        ("optimizers/0/owns/0", 1, "optimizers[0].owns[0]: 1 is not an index into tensors"),
        ("optimizers/0/shares", [{"loss": "x"}], "optimizers[0].shares[0].line: it is missing"),
        ("optimizers/0/cosines", [["a", "b"]], "optimizers[0].cosines[0]: expected 3 entries"),
        ("optimizers/0/at/column", 10**12, "optimizers[0].at.column: 1000000000000 is "),
        ("events/0/event", "Jump", "events[0].event: expected one of Write, Refused, Module, "),
        ("events/0/event", [], "events[0].event: expected one of Write, Refused, Module, "),
        ("events/0", 7, "events[0]: expected an object, found int"),
        ("events/0/reached", [0, 2], "events[0].reached[1]: 2 is not an index into tensors"),
        ("events/0/problems/0/write", 2, "events[0].problems[0].write: 2 is not an index"),
        ("events/0/problems/0/tensor", -2, "events[0].problems[0].tensor: -2 is not an index"),
        ("events/1/optimizer", -1, "events[1].optimizer: -1 is not an index"),
        ("sources/a.py", None, "sources['a.py']: expected str, found null"),
        ("sources/a.py", "x\ud800", "sources['a.py']: Python cannot parse it"),
        ("sources/a.py", "x" + ".y" * 500, "sources['a.py']: Python cannot parse "),
        ("sources/\x1b", 1, "sources['\\x1b']: expected str, found int"),
        ("film", [], "film: expected an object, found a list"),
        ("film/events/1/optimizer", 1, "film.events[1].optimizer: 1 is not an index"),
        ("film/moments/1/events", [], "film.events[1]: no moment has this event"),
        ("film/moments/0/at/file", "b.py", "film.moments[0].at.file: there is no source of 'b.py'"),
        ("film/before/0/tensor", 1, "film.before[0].tensor: 1 is not an index into tensors"),
        ("film/graph/nodes/0/inputs", [2, -1], "film.graph.nodes[0].inputs[0]: 2 is not an index"),
        ("film/graph/schema", None, "film.graph: schema is None, not 'graphlab.graph/1'"),
        ("film/graph", "", "film.graph: expected an object, found str"),
    ],
)  # fmt: skip
def test_where_a_trace_does_not_fit(path: str, value: Any, message: str) -> None:
    text = with_value(films.document(TRACE, FILM), path, value)
    with pytest.raises(ValueError) as refused:
        films.loads_both(text)
    assert str(refused.value).startswith(message)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("nodes", None, "nodes: expected a list, found null"),
        ("nodes/0/operation", None, "nodes[0].operation: expected str, found null"),
        ("nodes/1/inputs", [0], "nodes: some node leads back to itself"),
        ("nodes/1/call", 1, "nodes[1].call: 1 is not an index into calls"),
        ("nodes/1/sequence", None, "nodes: some nodes have a sequence and some have none"),
        ("nodes/0/outputs", [0], "nodes[0].outputs: there is not one for each input"),
        ("nodes/0/saved", [{"slot": "x"}], "nodes[0].saved[0].state: it is missing"),
        ("roots/0/node", 2, "roots[0].node: 2 is not an index into nodes"),
        ("calls/0/parent", 0, "calls[0]: a call cannot begin before the one around it"),
        ("schema", "graphlab.graph/9", "schema is 'graphlab.graph/9', not 'graphlab.graph/1'"),
    ],
)
def test_where_a_graph_does_not_fit(path: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        graphs.loads(with_value(graphs.document(FILM.graph or Graph((), ())), path, value))
    assert str(refused.value) == message


def test_calls_are_not_nested_without_end() -> None:
    calls = tuple(Call("m", "M", 1, at - 1) for at in range(1000))
    with pytest.raises(ValueError, match=r"calls\[300\]: calls are nested too deeply"):
        graphs.loads(graphs.dumps(Graph(("A",), ((),), calls=calls)))


def test_the_example_itself_comes_back() -> None:
    assert films.loads_both(films.dumps(TRACE, FILM)) == (TRACE, FILM)
    assert films.loads_both(films.dumps(TRACE, None)) == (TRACE, None)
    assert loads(dumps(TRACE)) == TRACE


def test_what_a_newer_version_adds_is_left_out_and_what_an_older_lacks_has_its_default() -> None:
    document = films.document(TRACE, FILM)
    document["mood"] = {"deep": [[[1]]]}
    document["events"][1]["mood"] = document["film"]["graph"]["nodes"][0]["mood"] = 1
    del document["unseen"], document["iterations"], document["film"]["left_out"]
    assert films.loads_both(json.dumps(document)) == (TRACE, FILM)


GARBAGE = {
    "empty": b"",
    "no JSON": b"Traceback (most recent call last):",
    "a list": b"[]",
    "a word": b'"x"',
    "no schema": b"{}",
    "cut": dumps(TRACE).encode()[:200],
    "two documents": dumps(TRACE).encode() * 2,
    "twice a key": dumps(TRACE).replace('"target"', '"target": "", "target"').encode(),
    "NaN": dumps(TRACE).replace('"iterations": 0', '"iterations": NaN').encode(),
    "endless": dumps(TRACE).replace('"iterations": 0', '"iterations": 1e999').encode(),
    "digits": dumps(TRACE).replace('"iterations": 0', f'"iterations": {"9" * 5000}').encode(),
    "deep": b'{"a": ' * 100_000,
    "deep and whole": b"[" * 100_000 + b"]" * 100_000,
    "latin-1": dumps(TRACE).replace("a.py", "\xe9.py").encode("latin-1"),
    "UTF-16": dumps(TRACE).encode("utf-16"),
    "BOM": b"\xef\xbb\xbf" + dumps(TRACE).encode(),
    "surrogate": dumps(TRACE).replace("a.py", "\ud800.py").encode("utf-8", "surrogatepass"),
    "NUL": dumps(TRACE).replace("a.py", "\x00.py").encode(),
    "zeros": bytes(1000),
    "gzip": gzip.compress(dumps(TRACE).encode()),
}


def opened_as_trace(path: str) -> None:
    load(path)


def opened_as_graph(path: str) -> None:
    render(path, [], Choice(output="-", format="dot"))


@pytest.mark.parametrize("open_it", [opened_as_trace, opened_as_graph])
@pytest.mark.parametrize("name", GARBAGE)
def test_no_file_is_too_strange_to_be_refused(
    tmp_path: Path, name: str, open_it: Callable[[str], None]
) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(GARBAGE[name])
    with pytest.raises(UserError) as refused:
        open_it(str(path))
    said = str(refused.value)
    assert said.startswith((f"{path} is not a trace: ", f"{path} is not a saved graph: "))
    assert said.isprintable() and len(said) < len(str(path)) + 200
    assert refused.value.help


def test_a_name_that_is_no_text_goes_into_a_file_and_comes_back() -> None:
    """Python keeps the bytes of such a file's name as lone surrogates."""
    text = dumps(TRACE).replace("a.py", "a\\udcff.py")
    trace = loads(text)
    assert trace.target == "a\udcff.py"
    assert dumps(trace) == text and text.encode()


@dataclass(frozen=True)
class Each:
    number: Annotated[float, Between(0.0, 1.0)] = 0.0
    place: Annotated[int, PositionIn("rows", or_none=True)] | None = None
    row: tuple[str, int] = ("", 0)
    some: Annotated[tuple[int, ...], AtMost(2)] = ()
    word: Literal["a", "b"] = "a"
    table: dict[str, float] = field(default_factory=dict)


def test_every_kind_of_hint() -> None:
    data = {
        "number": 1,
        "place": -1,
        "row": ["x", 3],
        "some": [1, 2],
        "word": "b",
        "table": {"k": 2},
    }
    found = build(Each, data, {"rows": 1})
    assert found == Each(1.0, -1, ("x", 3), (1, 2), "b", {"k": 2.0})
    assert type(found.number) is float
    for key, wrong in (
        ("number", 1.5), ("number", float("nan")), ("number", 10**400), ("number", True),
        ("place", 1), ("place", -2), ("place", 0.0), ("row", ["x"]), ("row", [3, "x"]),
        ("some", [1, 2, 3]), ("word", "c"), ("word", ["a"]), ("table", {"k": "x"}), ("table", []),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{key}"):
            build(Each, {**data, key: wrong}, {"rows": 1})


def test_sizes_are_those_of_lists() -> None:
    assert sizes_of({"a": [1, 2], "b": "xyz", "d": {}}, "a", "b", "c", "d") == {
        "a": 2, "b": 0, "c": 0, "d": 0
    }  # fmt: skip


def test_of_many_names_a_few_are_listed() -> None:
    with pytest.raises(ValueError) as raised:
        films.loads_both(with_value(films.document(TRACE, FILM), "sightings", [{"event": "Jump"}]))
    told = str(raised.value)
    assert told.startswith("sightings[0].event: expected one of Fate, Starved, ")
    assert told.endswith(" more, found 'Jump'") and len(told) < 200
