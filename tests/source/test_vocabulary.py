"""torch's words, each list once: no word stands where it would contradict another list."""

from __future__ import annotations

import ast
import operator

import pytest

from graphlab.source import vocabulary
from graphlab.source.vocabulary import (
    ALIASES,
    ARRAY_METHODS,
    CLIPPING,
    CUTS,
    FACTS,
    NOT_WRITERS,
    OPERATORS,
    VIEWS,
)


@pytest.mark.parametrize(("name", "sign"), OPERATORS.items())
def test_an_operator_is_written_as_it_is_called(name: str, sign: str) -> None:
    (node,) = ast.parse(f"x {sign} y").body
    assert isinstance(node, ast.AugAssign)
    called: list[str] = []

    class Operand:
        pass

    setattr(Operand, f"__i{name}__", lambda self, other: called.append(name) or self)
    exec(f"x {sign} y", {"x": Operand(), "y": 1})
    assert called == [name]


def test_every_in_place_operator_of_python_is_there() -> None:
    named = {name[3:-2] for name in dir(operator) if name.startswith("__i") and name.endswith("__")}
    # `__iconcat__` is no method; `__inv__`, `__index__` and `__invert__` are no operators in place.
    assert named - {"concat", "ndex", "nv", "nvert"} == set(OPERATORS)


def test_the_lists_agree() -> None:
    assert all(name.endswith("_") for name in NOT_WRITERS | CLIPPING)
    assert not any(name.endswith("_") for name in ARRAY_METHODS)
    assert {"T", "mT"} <= ALIASES & VIEWS
    # What cuts a graph gives a value, and what is only asked for gives none.
    assert CUTS.isdisjoint(FACTS) and CUTS.isdisjoint(VIEWS) and FACTS.isdisjoint(VIEWS)


def test_each_list_is_nothing_but_words() -> None:
    lists = {name: words for name, words in vars(vocabulary).items() if name.isupper()}
    assert len(lists) >= 10
    assert all(type(word) is str and word for words in lists.values() for word in words)
