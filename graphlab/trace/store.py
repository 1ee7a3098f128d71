"""A Trace as JSON text and back. Needs no torch."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from functools import lru_cache
from typing import Any

from graphlab.trace import model
from graphlab.trace.model import Trace

SCHEMA = "graphlab.trace/1"
_EVENTS = {kind.__name__: kind for kind in typing.get_args(model.Event)}


def dumps(trace: Trace) -> str:
    """One JSON document; every event carries its class under `event`."""
    return json.dumps({"schema": SCHEMA, **plain(trace)}, ensure_ascii=False) + "\n"


def loads(text: str) -> Trace:
    """The Trace that `dumps` wrote.

    Raises:
        ValueError: when `text` is not such a document.
    """
    try:
        data = json.loads(text)
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema is {data.get('schema')!r}, not {SCHEMA!r}")
        return build(Trace, data)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a trace: {error}") from None


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


def build(kind: Any, data: Any) -> Any:
    """The dataclass `kind` from what `plain` made of it."""
    hints = _hints(kind)
    # Fields that this version does not know are left out: a newer trace still opens.
    return kind(**{name: _value(hint, data[name]) for name, hint in hints.items() if name in data})


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _value(hint: Any, data: Any) -> Any:
    if data is None:
        return None
    if isinstance(data, dict) and "event" in data:
        return build(_EVENTS[data["event"]], data)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [each for each in typing.get_args(hint) if each is not type(None)]
        return _value(inner[0], data)
    if origin is tuple:
        args = typing.get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_value(args[0], each) for each in data)
        return tuple(_value(each, item) for each, item in zip(args, data, strict=True))
    if dataclasses.is_dataclass(hint):
        return build(hint, data)
    return data
