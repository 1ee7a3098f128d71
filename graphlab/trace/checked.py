"""JSON text to dataclasses, checked against the dataclasses' own type hints.

Rules and views rely on the types of what they get, so a file is checked once, here, and the error
names the place that is wrong. A hint can be narrower than a type: `Between` bounds a number,
`AtMost` the length of a tuple, and `PositionIn` makes an integer an index into one of the
document's columns.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# How many entries each column of the document has, by the name that `PositionIn` calls it.
Sizes = Mapping[str, int]
Reader = Callable[[Any, Sizes], Any]

# The bounds of numbers without a hint of their own. A seed has 64 bits; a sum of a few floats must
# not overflow.
MOST = 2**64
GREATEST = 1e300


@dataclass(frozen=True, slots=True)
class Between:
    """Type hint: a number from `least` to `most`, both included."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class PositionIn:
    """Type hint: an index into `column`; `or_none` also allows -1, for no entry."""

    column: str
    or_none: bool = False


@dataclass(frozen=True, slots=True)
class AtMost:
    """Type hint: a tuple of at most this many entries."""

    entries: int


class DocumentError(ValueError):
    """A document is not of its schema: what is wrong, and where, as in ``events[12].at.line``."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def under(self, part: str) -> DocumentError:
        """This error, its path prefixed by ``.field`` or ``[index]`` as it propagates outwards."""
        self.path = part + self.path
        return self

    def __str__(self) -> str:
        place = self.path.removeprefix(".")
        return f"{place}: {self.problem}" if place else self.problem


def parse(text: str) -> Any:
    """The JSON value in `text`.

    Raises:
        ValueError: `text` is not valid JSON, is nested too deeply, or repeats a key.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except (DocumentError, json.JSONDecodeError):
        raise
    except ValueError:
        # Python's own limit on the digits of an integer.
        raise DocumentError("it holds a number of too many digits") from None


def of_schema(data: Any, schema: str) -> dict[str, Any]:
    """`data`, after a check that it is an object whose ``schema`` is `schema`.

    Raises:
        DocumentError: it is not.
    """
    found = an_object(data).get("schema")
    if found != schema:
        raise DocumentError(f"schema is {short(found)}, not {schema!r}")
    return data


def an_object(data: Any) -> dict[str, Any]:
    """`data`, after a check that it is a JSON object; raises DocumentError otherwise."""
    if type(data) is not dict:
        raise _other("an object", data)
    return data


def build(kind: Any, data: Any, sizes: Sizes | None = None) -> Any:
    """The dataclass `kind` from JSON values. Unknown fields are ignored, so that a newer file still
    opens; a missing field gets its default.

    `sizes` are the lengths of the columns that `PositionIn` refers to. Without them, no index is
    checked against a length.

    Raises:
        DocumentError: a value is not of its hint, or a field without a default is missing.
    """
    return _reader(kind)(data, {} if sizes is None else sizes)


def short(value: Any) -> str:
    """The repr of a value for an error message, cut to 60 characters."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def sizes_of(data: Mapping[str, Any], *columns: str) -> dict[str, int]:
    """The lengths of some columns of a document that was not checked yet; 0 for what is no list."""
    found = ((name, data.get(name, ())) for name in columns)
    return {name: len(each) if isinstance(each, list) else 0 for name, each in found}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as a dict. Repeated keys are refused: JSON readers disagree on which one wins."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise DocumentError(f"the key {short(again)} stands twice in one object")
    return found


def _no_number(word: str) -> Any:
    raise DocumentError(f"{word} is not a JSON number")


_NAMES = {dict: "an object", list: "a list", type(None): "null"}


def _other(expected: str, data: Any) -> DocumentError:
    return DocumentError(
        f"expected {expected}, found {_NAMES.get(type(data), type(data).__name__)}"
    )


@lru_cache
def _reader(hint: Any, *limits: Any) -> Reader:
    """The function that reads a value of `hint`; cached, so that each hint is analysed once."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _reader(args[0], *hint.__metadata__)
    if origin in (types.UnionType, typing.Union):
        return _either(args, limits)
    if origin is tuple:
        return _tuple(args, limits)
    if origin is dict:
        return _mapping(args[1])
    if origin is typing.Literal:
        return _literal(args)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if hint is int:
        return _int(limits)
    return _float(limits) if hint is float else _exactly(hint)


def _exactly(kind: type) -> Reader:
    def read(data: Any, sizes: Sizes) -> Any:
        if type(data) is not kind:
            raise _other(kind.__name__, data)
        return data

    return read


def _int(limits: tuple[Any, ...]) -> Reader:
    least, most = _bounds(limits, MOST)
    place = next((each for each in limits if isinstance(each, PositionIn)), None)

    def read(data: Any, sizes: Sizes) -> Any:
        # Not isinstance: True is an int to Python, but would be printed as True.
        if type(data) is not int:
            raise _other("int", data)
        if not least <= data <= most:
            raise DocumentError(f"{short(data)} is out of range")
        return data

    if place is None:
        return read
    column, first = place.column, -1 if place.or_none else 0

    def read_place(data: Any, sizes: Sizes) -> Any:
        if type(data) is not int:
            raise _other("int", data)
        if not first <= data < sizes.get(column, MOST):
            raise DocumentError(f"{short(data)} is not an index into {column}")
        return data

    return read_place


def _bounds(limits: tuple[Any, ...], usual: float) -> tuple[float, float]:
    own = next((each for each in limits if isinstance(each, Between)), Between(-usual, usual))
    return own.least, own.most


def _float(limits: tuple[Any, ...]) -> Reader:
    least, most = _bounds(limits, GREATEST)

    def read(data: Any, sizes: Sizes) -> Any:
        if type(data) not in (float, int):
            raise _other("float", data)
        if not least <= data <= most:
            raise DocumentError(f"{short(data)} is out of range")
        return float(data)

    return read


def _literal(words: tuple[str, ...]) -> Reader:
    known = frozenset(words)

    def read(data: Any, sizes: Sizes) -> Any:
        if type(data) is not str or data not in known:
            raise DocumentError(
                f"expected one of {', '.join(map(repr, words))}, found {short(data)}"
            )
        return data

    return read


# How many of many names an error lists.
_SHOWN = 8


def _either(args: tuple[Any, ...], limits: tuple[Any, ...]) -> Reader:
    """Reads a value or null, or one of several dataclasses, told apart by the field ``event``."""
    kinds = [each for each in args if each is not type(None)]
    if len(kinds) == 1:
        one = _reader(kinds[0], *limits)

        def read(data: Any, sizes: Sizes) -> Any:
            return one(data, sizes) if data is not None else None

        return read
    readers = {kind.__name__: _reader(kind) for kind in kinds}
    names, more = ", ".join([*readers][:_SHOWN]), len(readers) - _SHOWN
    if more > 0:
        names += f" and {more} more"

    def read_event(data: Any, sizes: Sizes) -> Any:
        event = an_object(data).get("event")
        chosen = readers.get(event) if type(event) is str else None
        if chosen is None:
            raise DocumentError(f"expected one of {names}, found {short(event)}").under(".event")
        return chosen(data, sizes)

    return read_event


def _tuple(args: tuple[Any, ...], limits: tuple[Any, ...]) -> Reader:
    if len(args) == 2 and args[1] is Ellipsis:
        one = _reader(args[0])
        most = next((each.entries for each in limits if isinstance(each, AtMost)), None)

        def read(data: Any, sizes: Sizes) -> Any:
            if type(data) is not list:
                raise _other("a list", data)
            if most is not None and len(data) > most:
                raise DocumentError(f"expected at most {most} entries, found {len(data)}")
            found = []
            try:
                for each in data:
                    found.append(one(each, sizes))
            except DocumentError as error:
                raise error.under(f"[{len(found)}]") from None
            return tuple(found)

        return read
    readers = [_reader(each) for each in args]

    def read_row(data: Any, sizes: Sizes) -> Any:
        if type(data) is not list:
            raise _other("a list", data)
        if len(data) != len(readers):
            raise DocumentError(f"expected {len(readers)} entries, found {len(data)}")
        found = []
        try:
            for one, each in zip(readers, data, strict=True):
                found.append(one(each, sizes))
        except DocumentError as error:
            raise error.under(f"[{len(found)}]") from None
        return tuple(found)

    return read_row


def _mapping(hint: Any) -> Reader:
    one = _reader(hint)

    def read(data: Any, sizes: Sizes) -> Any:
        found = {}
        key = ""
        try:
            for key, each in an_object(data).items():
                found[key] = one(each, sizes)
        except DocumentError as error:
            raise error.under(f"[{short(key)}]") from None
        return found

    return read


def _dataclass(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = [(name, _reader(hint)) for name, hint in hints.items()]
    needed = [
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def read(data: Any, sizes: Sizes) -> Any:
        an_object(data)
        values = {}
        name = ""
        try:
            for name, one in readers:
                if name in data:
                    values[name] = one(data[name], sizes)
        except DocumentError as error:
            raise error.under(f".{name}") from None
        for each in needed:
            if each not in values:
                raise DocumentError("it is missing").under(f".{each}")
        return kind(**values)

    return read
