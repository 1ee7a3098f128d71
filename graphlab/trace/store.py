"""A Trace as JSON text and back. Needs no torch."""

from __future__ import annotations

import ast
import dataclasses
import json
import typing
import warnings
from collections.abc import Mapping
from typing import Any

from graphlab.trace import model
from graphlab.trace.checked import Misfit, build, of_schema, parse, short, sizes_of
from graphlab.trace.model import Trace

SCHEMA = "graphlab.trace/1"
_EVENTS = {kind.__name__: kind for kind in typing.get_args(model.Event)}


def dumps(trace: Trace) -> str:
    """One JSON document; every event carries its class under `event`."""
    return text_of({"schema": SCHEMA, **plain(trace)})


def loads(text: str) -> Trace:
    """The Trace that `dumps` wrote.

    Raises:
        ValueError: when `text` is not such a document; it says where it is not.
    """
    return read(parse(text))


def read(data: Any) -> Trace:
    """The Trace in a document that was parsed.

    Raises:
        ValueError: as for `loads`.
    """
    sizes = sizes_of(of_schema(data, SCHEMA), "tensors", "optimizers", "events")
    trace = build(Trace, data, sizes)
    readable(trace.sources)
    return trace


def text_of(document: dict[str, Any]) -> str:
    """JSON text that can be encoded. A file's name may hold bytes that are no text, which Python
    keeps as lone surrogates: those are written as JSON's own escapes, and all else as it is."""
    text = json.dumps(document, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


# As many calls further up the stack than here, rules take a source apart.
_FURTHER = 60


def readable(sources: Mapping[str, str]) -> None:
    """Refuse a source that Python can neither parse nor say no to, or parses to what it cannot
    write down again: rules do both with parts of it.

    Raises:
        Misfit: for such a source.
    """
    for name, source in sources.items():
        try:
            with warnings.catch_warnings(action="ignore"):
                _taken_apart(source, _FURTHER)
        except SyntaxError:
            # A cell with a magic in it, for one: rules leave it alone.
            continue
        except (ValueError, RecursionError, MemoryError):
            problem = "Python cannot parse it"
            raise Misfit(problem).under(f".sources[{short(name)}]") from None


def _taken_apart(source: str, calls: int) -> None:
    if calls:
        _taken_apart(source, calls - 1)
    else:
        ast.unparse(ast.parse(source))


def plain(value: Any) -> Any:
    """Dataclasses, tuples and dicts of them as what JSON knows."""
    if dataclasses.is_dataclass(value):
        found = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        name = type(value).__name__
        return {"event": name, **found} if name in _EVENTS else found
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
