"""The quiz: it asks before it shows, by keys alone, and answers in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.views.player.page import RecordedRun, page
from tests.browser.pages import press, step

Record = Callable[[str], RecordedRun]
Visit = Callable[..., Any]


def test_it_asks_before_it_shows(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")], quiz=True))
    assert step(opened) == "step 1 of 14"
    assert "RuntimeError" not in opened.locator("header:visible").inner_text()
    assert opened.locator(".gl-tick.gl-raised:visible").count() == 0
    press(opened, "Shift+ArrowRight")
    card = opened.locator(".gl-quiz")
    assert step(opened) == "step 4 of 14"
    assert "What does backward keep of D.4.weight?" in card.inner_text()
    press(opened, "ArrowRight")
    assert step(opened) == "step 4 of 14", "it waits for an answer"
    press(opened, "1")
    assert "Right:" not in card.inner_text(), "a number only chooses"
    press(opened, "2")
    press(opened, "Enter")
    assert "Right: the tensor itself" in card.inner_text()
    assert "Whoever writes to it writes to what was saved." in card.inner_text()
    assert "/film/graph/nodes/3/saved/1/saved_version: 1" in card.locator(".gl-proof").inner_text()
    assert "1 of 1 right" in opened.locator(".gl-score").inner_text()
    press(opened, "Enter")
    assert (step(opened), card.is_visible()) == ("step 5 of 14", False)


def test_it_asks_to_the_end_and_then_for_the_repair(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")], quiz=True))
    card, asked = opened.locator(".gl-quiz"), []
    for _ in range(40):
        if not card.is_visible():
            press(opened, "End")
        if not card.is_visible():
            press(opened, "ArrowRight")
            if not card.is_visible():
                break
        asked.append(card.locator("p").first.inner_text())
        press(opened, "1")
        press(opened, "Enter")
        press(opened, "Enter")
    assert step(opened) == "step 14 of 14"
    for words in ("keep of D.4.weight", "retain_graph=True keep", "At which version is it after"):
        assert any(words in each for each in asked), words
    assert "What does G_loss_.backward() need D.4.weight for?" in asked
    assert asked[-1] == "Which of these mends the loop?"
    assert opened.locator(".gl-score").inner_text().endswith("0 to come")
    press(opened, "ArrowLeft")
    press(opened, "End")
    assert not card.is_visible(), "nothing is asked twice"


def test_several_answers(visit: Visit, record: Record) -> None:
    opened = visit(page([record("recompute")], quiz=True))
    card = opened.locator(".gl-quiz")
    for _ in range(12):
        press(opened, "End")
        if "Choose all that are right." in card.inner_text():
            break
        press(opened, "1")
        press(opened, "Enter")
        press(opened, "Enter")
    press(opened, "1")
    press(opened, "2")
    press(opened, "Enter")
    assert "Right: D, G" in card.inner_text()
