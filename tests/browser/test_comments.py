"""What a script's own comments change on the page: a note, a question, and lines left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphlab.language import choose
from graphlab.views.player.page import RecordedRun, page
from tests.browser.pages import line, press, step

Record = Callable[[str], RecordedRun]
Visit = Callable[..., Any]

PROGRAM = """\
import torch

# graphlab: hide
def helper(x):
    # graphlab: note inside what is hidden
    return x * 2

w = torch.ones(2, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
for turn in range(2):
    # graphlab: hide
    seen = [
        turn,
    ]
    # graphlab: note the graph grows here
    loss = helper(w).sum()
    optimizer.zero_grad()  # graphlab: hide
    # graphlab: ask what lies in w.grad <b>now</b>?
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def opened(visit: Visit, record: Record) -> Any:
    return visit(page([record(PROGRAM)]))


def _at(opened: Any, code: str) -> None:
    for _ in range(12):
        if line(opened) == code:
            return
        press(opened, "ArrowRight")
    raise AssertionError(f"no step is at {code}")


def test_a_note_stands_with_its_line(opened: Any) -> None:
    said = opened.locator(".gl-say")
    assert "Note:" not in said.inner_text()
    _at(opened, "loss = helper(w).sum()")
    told, note = said.inner_text().splitlines()
    assert told.startswith("Line 16.") and note == "Note: the graph grows here"
    press(opened, "End")
    assert "Note:" not in said.inner_text()


def test_a_question_stops_the_play(opened: Any) -> None:
    card = opened.locator(".gl-quiz")
    assert step(opened).startswith("step 1 of")
    press(opened, "End")
    before = step(opened)
    assert "Before line 19" in card.inner_text()
    assert "what lies in w.grad <b>now</b>?" in card.inner_text()
    assert line(opened) != "loss.backward()"
    press(opened, "Enter")
    assert (line(opened), card.is_visible()) == ("loss.backward()", False)
    press(opened, "Home")
    press(opened, "End")
    assert step(opened) != before, "nothing is asked twice"


def test_a_question_is_shown_by_its_button_and_not_counted(visit: Visit, record: Record) -> None:
    opened = visit(page([record(PROGRAM)], quiz=True))
    card = opened.locator(".gl-quiz")
    for _ in range(12):
        press(opened, "End")
        if "what lies in" in card.inner_text():
            break
        press(opened, "1")
        press(opened, "Enter")
        press(opened, "Enter")
    scored = opened.locator(".gl-score").inner_text()
    card.get_by_role("button", name="Show what the line does").click()
    assert opened.locator(".gl-score").inner_text() == scored
    assert "what lies in" not in card.inner_text()


def test_a_question_before_the_first_step(visit: Visit, record: Record) -> None:
    source = PROGRAM.replace("    seen = ", "    # graphlab: ask how often?\n    seen = ")
    opened = visit(page([record(source)]))
    assert step(opened).startswith("step 1 of")
    assert "how often?" in opened.locator(".gl-quiz").inner_text()
    press(opened, "Enter")
    assert not opened.locator(".gl-quiz").is_visible()
    assert step(opened).startswith("step 1 of")


def test_a_question_is_seen_on_a_phone(visit: Visit, record: Record) -> None:
    opened = visit(page([record(PROGRAM)]), viewport={"width": 390, "height": 844})
    press(opened, "End")
    assert opened.get_by_text("what lies in").is_visible()


def test_hidden_lines_are_left_out(opened: Any) -> None:
    shown = opened.locator(".gl-source:visible").inner_text()
    for words in ("helper(x)", "return x", "turn,", "zero_grad", "graphlab:"):
        assert words not in shown
    for words in ("import torch", "for turn", "helper(w)", "loss.backward()", "optimizer.step()"):
        assert words in shown
    assert opened.locator(".gl-gap").count() == 3
    assert opened.locator(".gl-gap").first.inner_text().strip() == "… left out"
    while opened.locator(".gl-gap.gl-now").count() == 0:
        press(opened, "ArrowRight")
    assert "Line 12." in opened.locator(".gl-say").inner_text()


def test_in_korean(visit: Visit, record: Record) -> None:
    choose("ko")
    try:
        opened = visit(page([record(PROGRAM)]))
    finally:
        choose("en")
    _at(opened, "loss = helper(w).sum()")
    assert "참고: the graph grows here" in opened.locator(".gl-say").inner_text()
    press(opened, "End")
    assert opened.get_by_role("button", name="이 줄이 하는 일 보기 (Enter)").is_visible()
