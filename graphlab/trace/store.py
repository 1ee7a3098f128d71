"""Writes a Trace as JSON text, and reads it back; needs no torch."""

from __future__ import annotations

import ast
import dataclasses
import json
import typing
import warnings
from collections.abc import Mapping
from typing import Any

from graphlab.language.stored import keyed, messages_in, table
from graphlab.trace import model, sightings
from graphlab.trace.checked import DocumentError, build, of_schema, parse, short, sizes_of
from graphlab.trace.model import Trace

SCHEMA = "graphlab.trace/1"
_EVENTS = {
    kind.__name__ for union in (model.Event, sightings.Sighting) for kind in typing.get_args(union)
}


def dumps(trace: Trace) -> str:
    """The text of a JSON document; every event has its class's name under `event`."""
    return text_of(with_texts({"schema": SCHEMA, **plain(trace)}))


def loads(text: str) -> Trace:
    """The Trace that `dumps` wrote.

    Raises:
        ValueError: `text` is not such a document; the message names the place that is wrong.
    """
    return read(parse(text))


def read(data: Any) -> Trace:
    """The Trace in a parsed document.

    Raises:
        ValueError: as for `loads`.
    """
    sizes = sizes_of(of_schema(data, SCHEMA), "tensors", "optimizers", "events")
    trace = build(Trace, data, sizes)
    check_sources(trace.sources)
    messages = messages_in(data)
    return keyed(trace, messages) if messages else trace


def with_texts(document: dict[str, Any]) -> dict[str, Any]:
    """A document with the table of its messages, if it has any, under `texts`."""
    texts = table(document)
    return {**document, "texts": texts} if texts else document


def text_of(document: dict[str, Any]) -> str:
    """JSON text that can be encoded as UTF-8. A file's name may hold bytes that are not valid text,
    which Python keeps as lone surrogates: those are written as JSON escapes."""
    text = json.dumps(document, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# Rules parse sources from this many calls deeper in the stack than `check_sources` is.
_DEEPER = 60


def check_sources(sources: Mapping[str, str]) -> None:
    """Refuse sources on which `ast.parse` or `ast.unparse` fails with anything but a SyntaxError,
    such as one nested too deeply: rules call both on parts of it.

    Raises:
        DocumentError: there is such a source.
    """
    for name, source in sources.items():
        try:
            with warnings.catch_warnings(action="ignore"):
                _parse_and_unparse(source, _DEEPER)
        except SyntaxError:
            # For instance a notebook cell with a magic. Rules handle this one themselves.
            continue
        except (ValueError, RecursionError, MemoryError):
            problem = "Python cannot parse it"
            raise DocumentError(problem).under(f".sources[{short(name)}]") from None


def _parse_and_unparse(source: str, calls: int) -> None:
    if calls:
        _parse_and_unparse(source, calls - 1)
    else:
        ast.unparse(ast.parse(source))


def plain(value: Any) -> Any:
    """Dataclasses, and tuples and dicts of them, as JSON values."""
    if dataclasses.is_dataclass(value):
        found = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        name = type(value).__name__
        return {"event": name, **found} if name in _EVENTS else found
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
