"""Objects of the program are asked what they hold, and nothing of theirs runs."""

from __future__ import annotations

import collections
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from graphlab.source.objects import (
    LOST,
    attribute,
    attributes,
    class_module,
    class_name,
    exactly,
    fields,
    is_a,
    item,
    items,
    length,
    lookup,
    static,
    variables,
)

ran: list[str] = []


def noting(name: str) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        ran.append(name)
        raise RuntimeError(f"{name} is the program's own")

    return method


NAMES = """getattr getattribute getitem setitem delitem contains missing eq ne lt le gt ge hash repr
    str format bool len length_hint iter next call index int float array reversed dir copy
    reduce_ex"""
SPECIAL = [f"__{name}__" for name in NAMES.split()]
PROPERTIES = {name: property(noting(name)) for name in ("__class__", "__dict__", "__doc__", "rows")}


class Meta(type):
    """Its classes answer neither isinstance, nor comparison, nor a question for a name."""

    __eq__ = noting("Meta.__eq__")
    __hash__ = type.__hash__
    __instancecheck__ = noting("Meta.__instancecheck__")
    __subclasscheck__ = noting("Meta.__subclasscheck__")
    __getattribute__ = noting("Meta.__getattribute__")
    mro = type.mro


def hostile(base: type = object, **more: Any) -> Any:
    """An object of a class that derives from `base` and has every special method of its own."""
    members = {name: noting(name) for name in SPECIAL} | PROPERTIES | more
    if "__slots__" in more:
        del members["__dict__"]
    kind = type.__call__(Meta, "Hostile", (base,), members)
    return base.__new__(kind)


QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "is_a": lambda value: (is_a(value, dict), is_a(value, (list, tuple)), is_a(value, type)),
    "exactly": lambda value: exactly(value, dict, list, tuple),
    "class_name": class_name,
    "class_module": class_module,
    "static": lambda value: static(type(value), "rows"),
    "attributes": attributes,
    "attribute": lambda value: [attribute(value, name) for name in ("rows", "shape", "__doc__")],
    "item": lambda value: [item(value, key) for key in (0, -1, "a", 1.5, None)],
    "items": lambda value: list(items(value)),
    "length": length,
    "fields": fields,
    "variables": variables,
    "lookup": lambda value: lookup("x", value),
}


@pytest.mark.parametrize("base", [object, dict, list, tuple, set, int, str, types.ModuleType])
@pytest.mark.parametrize("question", QUESTIONS)
def test_nothing_of_a_hostile_class_runs(question: str, base: type) -> None:
    value = hostile(base)
    ran.clear()
    QUESTIONS[question](value)
    # Not even as an argument: what is compared with it is compared by identity.
    QUESTIONS[question](type(value))
    assert ran == []


class Plain:
    shared = 3

    def __init__(self) -> None:
        self.own = 1

    @property
    def rows(self) -> Any:
        raise RuntimeError("a property of the program's")

    @staticmethod
    def free() -> int:
        return 5

    @classmethod
    def of_class(cls) -> type:
        return cls

    def method(self) -> Plain:
        return self


class Slotted:
    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        self.full = 7


class Child(Slotted):
    """Has slots of its parent's and a dictionary."""


class Shadow:
    """A data descriptor of the class beside an entry of the object's dictionary."""

    def __init__(self) -> None:
        self.__dict__["drawn"] = 9

    @property
    def other(self) -> int:
        return 4


class Module:
    """What torch.nn.Module keeps, and where."""

    def __init__(self) -> None:
        self._parameters = {"weight": "w"}
        self._buffers = collections.OrderedDict(mean="m")
        self._modules = {"0": "first", "1": "second"}

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("asked for " + name)

    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("asked for an item")


class Sequential(Module):
    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError("asked for an item")

    # As if torch had defined it.
    __getitem__.__module__ = "torch.nn.modules.container"


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (Plain(), "own", 1),
        (Plain(), "shared", 3),
        (Plain, "shared", 3),
        (Plain(), "rows", LOST),
        (Plain, "rows", Plain.__dict__["rows"]),
        (Plain(), "nothing", LOST),
        (Slotted(), "full", 7),
        (Slotted(), "empty", LOST),
        (Child(), "full", 7),
        (Shadow(), "drawn", 9),
        (Shadow(), "other", LOST),
        (Module(), "weight", "w"),
        (Module(), "mean", "m"),
        (Module(), "0", "first"),
        (Module(), "bias", LOST),
        (types.SimpleNamespace(x=2), "x", 2),
        (types, "ModuleType", types.ModuleType),
        (collections.namedtuple("Pair", "one two")(1, 2), "one", LOST),
        (3, "real", LOST),
    ],
    ids=lambda value: value if type(value) is str else type(value).__name__,
)
def test_an_attribute_is_what_is_stored(value: Any, name: str, expected: Any) -> None:
    assert attribute(value, name) is expected


def test_methods_are_bound_as_python_binds_them() -> None:
    plain = Plain()
    assert attribute(plain, "method")() is plain
    assert attribute(plain, "of_class")() is Plain
    assert attribute(plain, "free")() == attribute(Plain, "free")() == 5
    assert attribute(Plain, "method") is Plain.__dict__["method"]


class Own(dict):
    def __getitem__(self, key: Any) -> Any:
        raise RuntimeError

    def __missing__(self, key: Any) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ({"a": 1, 2: 3}, "a", 1),
        ({"a": 1, 2: 3}, 2, 3),
        ({"a": 1}, "b", LOST),
        (Own(a=1), "a", 1),
        (Own(a=1), "b", LOST),
        (collections.defaultdict(list), "a", LOST),
        ([4, 5], 0, 4),
        ([4, 5], -1, 5),
        ((4, 5), 2, LOST),
        ((4, 5), -3, LOST),
        ([4, 5], "a", LOST),
        ([4, 5], True, LOST),
        ({1.0: 2}, 1.0, LOST),
        ("word", 0, LOST),
        (range(3), 0, LOST),
        (Module(), 0, LOST),
        (Sequential(), 0, "first"),
        (Sequential(), -1, "second"),
        (Sequential(), "1", "second"),
        (Sequential(), 2, LOST),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_item_is_what_the_container_holds(value: Any, key: Any, expected: Any) -> None:
    assert item(value, key) is expected


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        ({"a": 1, 2: 3, None: 4, 1.5: 5}, None, [("a", 1), (2, 3)]),
        ({"a": 1, "b": 2}, 1, [("a", 1)]),
        ([7, 8], None, [(0, 7), (1, 8)]),
        ((7, 8, 9), 2, [(0, 7), (1, 8)]),
        ({7, 8}, None, []),
        ("ab", None, []),
    ],
)
def test_items(value: Any, limit: int | None, expected: list[Any]) -> None:
    assert list(items(value, limit)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [([1, 2], 2), ((), 0), ({"a": 1}, 1), ({1}, 1), (frozenset(), 0), (range(4), 4),
     (Own(a=1), 1), ("ab", None), (b"ab", None), (Module(), None)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_lengths(value: Any, expected: int | None) -> None:
    assert length(value) == expected


def test_fields_of_a_named_tuple_and_of_nothing_else() -> None:
    assert fields(collections.namedtuple("Pair", "one two")(1, 2)) == ("one", "two")
    assert fields((1, 2)) == fields(types.SimpleNamespace(_fields=("a",))) == ()


def test_true_types_are_told() -> None:
    class Liar:
        __class__ = dict  # type: ignore[assignment]

    assert isinstance(Liar(), dict) and not is_a(Liar(), dict)
    assert is_a(Own(), (list, dict)) and not is_a(Own(), (list, tuple))
    assert exactly({}, list, dict) and not exactly(Own(), list, dict)
    assert class_name(Own()) == "Own" and class_module(Own()) == __name__


def test_variables_of_frames_modules_and_dictionaries() -> None:
    here = 1
    assert variables(sys._getframe().f_locals)["here"] == here
    assert variables(vars(types))["ModuleType"] is types.ModuleType
    assert variables({"x": 1, 2: 3}) == {"x": 1}
    assert variables(Own(x=1)) == {"x": 1}
    assert variables(collections.UserDict(x=1)) == {}


def test_a_name_is_looked_up_from_space_to_space() -> None:
    assert lookup("x", {"y": 1}, {"x": 2}, {"x": 3}) == 2
    assert lookup("x", collections.UserDict(x=1), Own(x=2)) == 2
    assert lookup("x", {}) is LOST
