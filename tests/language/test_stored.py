"""Messages go into documents as English, and come out with their keys; nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from graphlab.language import Message, message
from graphlab.language.stored import messages_in
from graphlab.trace.film import loads_both
from graphlab.trace.model import Environment, Trace
from graphlab.trace.report import report
from graphlab.trace.store import dumps, loads

INNER = message("observed.checkpoint.outlives", name="self.calls")
SAID = message("observed.checkpoint.changed", why=INNER)
UNSEEN = message("observed.unseen.steps_elsewhere", names=message("words.names", names=["a", "b"]))
EMPTY = Trace("a.py", "completed", Environment("3.11", "2.13", "cpu", None, "0"))


def test_a_trace_is_english_and_keeps_the_keys() -> None:
    trace = replace(EMPTY, unseen=(UNSEEN, "what an older graphlab said"))
    text = dumps(trace)
    assert json.loads(text)["unseen"] == [str(UNSEEN), "what an older graphlab said"]
    back = loads(text)
    assert back == trace
    first, second = back.unseen
    assert isinstance(first, Message) and type(second) is str
    assert (first.key, first.arguments) == (UNSEEN.key, UNSEEN.arguments)
    inner = first.arguments["names"]
    assert isinstance(inner, Message) and inner.arguments == {"names": ["a", "b"]}
    assert loads_both(text)[0].unseen[0].key == UNSEEN.key  # type: ignore[attr-defined]


def test_a_report_has_the_keys_of_all_its_sentences() -> None:
    document = report(replace(EMPTY, unseen=(SAID,)), [])
    assert document["unseen"] == [SAID]
    assert json.loads(json.dumps(document["texts"])) == {
        str(SAID): {
            "key": "observed.checkpoint.changed",
            "arguments": {
                "why": {"key": "observed.checkpoint.outlives", "arguments": {"name": "self.calls"}}
            },
        }
    }


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "observed.values.none",
        [],
        {},
        {"key": "observed.values.none"},
        {"key": 3, "arguments": {}},
        {"key": [], "arguments": {}},
        {"key": "no.such.text", "arguments": {}},
        {"key": "observed.values.none", "arguments": []},
        # Another text than the one it stands for.
        {"key": "observed.values.zero", "arguments": {}},
        {"key": "observed.values.it", "arguments": {}},
        {"key": "words.names", "arguments": {"names": "a"}},
        {"key": "training.gl108.summary", "arguments": {"call": "", "whose": "", "part": 10**400}},
        {"key": "words.names", "arguments": {"names": [1, 2]}},
        {"key": "words.names", "arguments": {"names": []}},
        {"key": "observed.values.some", "arguments": {"many": "x", "whole": {}, "what": None}},
    ],
)
def test_what_gives_another_text_is_left_out(entry: Any) -> None:
    assert messages_in({"texts": {"it has no values": entry}}) == {}


@pytest.mark.parametrize("texts", [None, 3, "x", [], ["it has no values"]])
def test_a_table_that_is_none_is_left_out(texts: Any) -> None:
    assert messages_in({"texts": texts}) == {}


def test_a_deep_table_is_left_out() -> None:
    entry: Any = {"key": "observed.values.none", "arguments": {}}
    for _ in range(2_000):
        entry = {"key": "observed.checkpoint.changed", "arguments": {"why": entry}}
    assert messages_in({"texts": {"it has no values": entry}}) == {}
