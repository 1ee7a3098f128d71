"""What the player shows of a saved film, step by step."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from graphlab.rules.pages import why
from graphlab.rules.registry import find
from graphlab.trace import film as films
from graphlab.trace.store import loads
from graphlab.views.player.data import data
from graphlab.views.player.page import RecordedRun, page
from graphlab.views.player.texts.quiz import questions
from tests.rules.cases import FILMED, FILMS, Case

STALE, LEFTOVER = FILMED


def read(case: Case) -> RecordedRun:
    text = (FILMS / f"{case.name}.json").read_text(encoding="utf-8")
    trace, film = loads(text), films.loads(text)
    assert film is not None
    findings = tuple(find(trace))
    return RecordedRun(trace, film, findings, {each.code: why(each.code) for each in findings})


def shown(case: Case) -> dict[str, Any]:
    play = read(case)
    return data(play.trace, play.film, play.findings, play.whys)


def test_every_film_has_a_case() -> None:
    assert {path.stem for path in FILMS.iterdir()} == {case.name for case in FILMED}


def test_a_step_for_each_line_that_ran() -> None:
    told = shown(STALE)
    code = told["files"][0]["lines"]
    assert [(each["kind"], code[each["line"] - 1].strip()) for each in told["steps"]] == [
        ("line", "first = weight.square().sum()"),
        ("line", "second = weight.square().mean()"),
        ("zero", "optimizer.zero_grad()"),
        ("backward", "first.backward()"),
        ("step", "optimizer.step()"),
        ("raised", "second.backward()"),
    ]
    assert [each["say"] for each in told["steps"]][2:] == [
        "optimizer.zero_grad() finds nothing to clear.",
        "first.backward() writes the gradients of weight. It needs weight as it was at v0, and so "
        "it is. 1 saved tensor is freed.",
        "optimizer.step() applies the gradient of first. It writes weight in place: version 0 "
        "becomes 1. 1 saved tensor no longer holds what was saved: it is stale.",
        "second.backward() raises RuntimeError. It goes back through line 8, where "
        "grad_input = grad_output * k * input^(k-1) needs weight. weight was saved at v0 and is at "
        "v1: the values that it had have been written over.",
    ]
    assert told["moment"] == ["iteration 0", "raised RuntimeError"]


def test_what_each_step_changed_of_a_tensor() -> None:
    """Version, whether it has a gradient, and whose."""
    (weight,) = shown(STALE)["tensors"]
    assert weight["history"] == [
        [0, 0, False, []],
        [3, 0, True, ["first"]],
        [4, 1, True, ["first"]],
    ]


def test_what_was_saved_is_freed_or_stale_from_a_step_on() -> None:
    saved = shown(STALE)["saved"]
    told = [(each["born"], each["freed"], each["stale"], each["state"]) for each in saved]
    assert told == [(0, 3, None, "freed"), (1, None, 4, "stale")]


def test_the_finding_plays_at_its_steps() -> None:
    told = shown(STALE)
    (finding,) = told["findings"]
    assert told["start"] == finding["step"] == 5
    assert [(each["step"], each["version"]) for each in finding["places"]] == [
        (1, "v0"), (4, "v0 → v1"), (5, "v1"),
    ]  # fmt: skip
    assert finding["words"].startswith("RuntimeError: one of the variables needed")
    assert finding["why"].startswith("The forward pass saves the tensors")
    assert ["+", "second = weight.square().mean()"] in finding["helps"][0]["diff"]


def test_the_ledger_fills_up() -> None:
    (stale,), (leftover,) = shown(STALE)["ledger"], shown(LEFTOVER)["ledger"]
    assert stale["history"] == [[0, 0, "", []], [4, 1, "weight", ["first"]]]
    assert leftover["owns"] == leftover["history"][-1][2] == "2 parameters of model"
    assert [(each["step"], each["text"]) for each in shown(LEFTOVER)["entries"]] == [
        (1, "wrote the gradients of 2 parameters of model"),
        (2, "applied loss"),
    ]


@pytest.mark.parametrize("case", FILMED, ids=lambda case: case.name)
def test_every_answer_of_the_quiz_stands_at_its_path(case: Case) -> None:
    play = read(case)
    whole = films.document(play.trace, play.film)
    asked = questions(play.trace, play.film)
    assert len(asked) >= 4
    for question in asked:
        assert question["answer"]
        for path, value in question["proof"]:
            assert json.loads(value) == films.at(whole, path)


def test_no_text_of_the_users_becomes_markup() -> None:
    bad = "</script><b>"
    play = read(STALE)
    # Without a graph there is none to lay out, which takes a process of its own.
    text = page([replace(play, trace=replace(play.trace, target=bad),
                         film=replace(play.film, graph=None, passages=()))])  # fmt: skip
    assert bad not in text
    assert "no graph to draw" in text
