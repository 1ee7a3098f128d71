"""JSON text to dataclasses, checked against the dataclasses' own type hints.

What comes from a file is taken for what its hints say by every rule and every view after it, so it
is looked at once, here, and refused with the place at which it does not fit. The hints say more
than a type where a number may not be just any: `Between` bounds it, `In` makes it a position in
one of the document's columns.
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

# How many entries each column of the document has, by the name that `In` calls it.
Sizes = Mapping[str, int]
Reader = Callable[[Any, Sizes], Any]

# The bounds of any number that has none of its own. A seed has 64 bits; and a sum of some floats
# should still be one.
MOST = 2**64
GREATEST = 1e300


@dataclass(frozen=True, slots=True)
class Between:
    """The hint of a number with bounds, both allowed."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class In:
    """The hint of a position in a column; `or_none` allows -1, which stands for no entry."""

    column: str
    or_none: bool = False


@dataclass(frozen=True, slots=True)
class AtMost:
    """The hint of a tuple with no more entries than this."""

    entries: int


class Misfit(ValueError):
    """What does not fit, and where, as in ``events[12].tensors[0].name``."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path = ""

    def under(self, step: str) -> Misfit:
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        place = self.path.removeprefix(".")
        return f"{place}: {self.problem}" if place else self.problem


def parse(text: str) -> Any:
    """The JSON value in `text`.

    Raises:
        ValueError: when there is none.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError:
        raise Misfit("it is nested too deeply") from None
    except (Misfit, json.JSONDecodeError):
        raise
    except ValueError:
        # Python's own limit on the digits of an integer.
        raise Misfit("it holds a number of too many digits") from None


def of_schema(data: Any, schema: str) -> dict[str, Any]:
    """`data`, an object that says it is of `schema`.

    Raises:
        Misfit: when it is not.
    """
    found = an_object(data).get("schema")
    if found != schema:
        raise Misfit(f"schema is {short(found)}, not {schema!r}")
    return data


def an_object(data: Any) -> dict[str, Any]:
    """`data`, or a Misfit where it is none."""
    if type(data) is not dict:
        raise _other("an object", data)
    return data


def build(kind: Any, data: Any, sizes: Sizes | None = None) -> Any:
    """The dataclass `kind` from JSON values. Fields that this version does not know are left out,
    so that a newer file still opens; a missing one has its default.

    `sizes` are those of the columns that `In` refers to; without them no position is looked at.

    Raises:
        Misfit: a ValueError that says what does not fit, and where.
    """
    return _reader(kind)(data, {} if sizes is None else sizes)


def short(value: Any) -> str:
    """A value of the document for a message, however long it is."""
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def sizes_of(data: Mapping[str, Any], *columns: str) -> dict[str, int]:
    """The sizes of the columns of a document that is yet to be looked at."""
    found = ((name, data.get(name, ())) for name in columns)
    return {name: len(each) if isinstance(each, list) else 0 for name, each in found}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands there twice, readers of JSON take either one or the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        again = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise Misfit(f"the key {short(again)} stands twice in one object")
    return found


def _no_number(word: str) -> Any:
    raise Misfit(f"{word} is not a JSON number")


_NAMES = {dict: "an object", list: "a list", type(None): "null"}


def _other(expected: str, data: Any) -> Misfit:
    return Misfit(f"expected {expected}, found {_NAMES.get(type(data), type(data).__name__)}")


@lru_cache
def _reader(hint: Any, *limits: Any) -> Reader:
    """What reads a value of `hint`. It is put together once, and no hint is looked at again."""
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
    place = next((each for each in limits if isinstance(each, In)), None)

    def read(data: Any, sizes: Sizes) -> Any:
        # Not isinstance: True is an int to Python, and none to whoever prints it.
        if type(data) is not int:
            raise _other("int", data)
        if not least <= data <= most:
            raise Misfit(f"{short(data)} is out of range")
        return data

    if place is None:
        return read
    column, first = place.column, -1 if place.or_none else 0

    def read_place(data: Any, sizes: Sizes) -> Any:
        if type(data) is not int:
            raise _other("int", data)
        if not first <= data < sizes.get(column, MOST):
            raise Misfit(f"{short(data)} is not an index into {column}")
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
            raise Misfit(f"{short(data)} is out of range")
        return float(data)

    return read


def _literal(words: tuple[str, ...]) -> Reader:
    known = frozenset(words)

    def read(data: Any, sizes: Sizes) -> Any:
        if type(data) is not str or data not in known:
            raise Misfit(f"expected one of {', '.join(map(repr, words))}, found {short(data)}")
        return data

    return read


def _either(args: tuple[Any, ...], limits: tuple[Any, ...]) -> Reader:
    """A value or null; or one of several dataclasses, which says by `event` which it is."""
    kinds = [each for each in args if each is not type(None)]
    if len(kinds) == 1:
        one = _reader(kinds[0], *limits)

        def read(data: Any, sizes: Sizes) -> Any:
            return one(data, sizes) if data is not None else None

        return read
    readers = {kind.__name__: _reader(kind) for kind in kinds}
    names = ", ".join(readers)

    def read_event(data: Any, sizes: Sizes) -> Any:
        event = an_object(data).get("event")
        chosen = readers.get(event) if type(event) is str else None
        if chosen is None:
            raise Misfit(f"expected one of {names}, found {short(event)}").under(".event")
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
                raise Misfit(f"expected at most {most} entries, found {len(data)}")
            found = []
            try:
                for each in data:
                    found.append(one(each, sizes))
            except Misfit as misfit:
                raise misfit.under(f"[{len(found)}]") from None
            return tuple(found)

        return read
    readers = [_reader(each) for each in args]

    def read_row(data: Any, sizes: Sizes) -> Any:
        if type(data) is not list:
            raise _other("a list", data)
        if len(data) != len(readers):
            raise Misfit(f"expected {len(readers)} entries, found {len(data)}")
        found = []
        try:
            for one, each in zip(readers, data, strict=True):
                found.append(one(each, sizes))
        except Misfit as misfit:
            raise misfit.under(f"[{len(found)}]") from None
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
        except Misfit as misfit:
            raise misfit.under(f"[{short(key)}]") from None
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
        except Misfit as misfit:
            raise misfit.under(f".{name}") from None
        for each in needed:
            if each not in values:
                raise Misfit("it is missing").under(f".{each}")
        return kind(**values)

    return read
