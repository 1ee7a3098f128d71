"""The page for a projector, on a phone, at 200 % zoom, and with two runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphlab.catalogue import scenarios
from graphlab.views.player.page import RecordedRun, page
from tests.browser.pages import line, press, shown, step

Record = Callable[[str], RecordedRun]
Visit = Callable[..., Any]

PANES = {"one tensor": "cause", "graph": "graph", "tensors": "tensors", "findings": "account"}


def sizes(opened: Any, *places: str) -> list[float]:
    size = "e => parseFloat(getComputedStyle(e).fontSize)"
    return [opened.locator(f"{place}:visible").first.evaluate(size) for place in places]


def wide(opened: Any) -> int:
    return opened.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_for_a_projector(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]))
    press(opened, "p")
    said, code, pane = sizes(opened, ".gl-say", ".gl-source", ".gl-cause")
    assert min(said, code, pane) >= 24
    for name, place in PANES.items():
        opened.get_by_role("button", name=name, exact=True).click()
        assert [each for each in PANES.values() if shown(opened, each)] == [place]
        assert wide(opened) <= 0
    assert line(opened) == "G_loss_.backward()"
    press(opened, "p")
    assert all(shown(opened, each) for each in PANES.values())


@pytest.mark.parametrize("width, height", [(390, 844), (640, 360)])
def test_small(visit: Visit, record: Record, width: int, height: int) -> None:
    opened = visit(page([record("naive")]), viewport={"width": width, "height": height})
    for name, place in PANES.items():
        opened.get_by_role("button", name=name, exact=True).click()
        assert [each for each in PANES.values() if shown(opened, each)] == [place]
        assert wide(opened) <= 0
        figure = opened.locator(f".gl-{place}:visible")
        assert figure.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    bar = opened.locator(".gl-controls:visible").bounding_box()
    opened.evaluate("scrollTo(0, 400)")
    assert opened.locator(".gl-controls:visible").bounding_box()["y"] <= bar["y"]
    assert opened.get_by_role("button", name="Back").is_visible()


def test_two_runs_side_by_side_go_by_lines(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive"), record("detach")]))
    assert opened.locator(".gl-play:visible").count() == 2
    bodies = opened.locator(".gl-play:visible .gl-now")

    def lines() -> list[str]:
        return [each.locator("code").inner_text().strip() for each in bodies.all()]

    assert lines() == ["G_loss_.backward()"] * 2
    press(opened, "Home")
    assert lines()[0] == lines()[1]
    seen = []
    for _ in range(18):
        press(opened, "ArrowRight")
        seen.append(tuple(lines()))
    assert ("gene_logit = D(gene_img)", "gene_logit = D(gene_img.detach())") in seen
    assert ("optimizer_D.step()", "optimizer_D.step()") in seen
    alone = opened.locator(".gl-idle")
    opened.get_by_role("slider").locator("visible=true").fill("12")
    assert alone.count() == 1 and lines()[1] == "real_logit = D(img)"
    assert wide(opened) <= 0
    opened.wait_for_function("location.hash === '#both=1&step=12'")
    press(opened, "b")
    assert opened.locator(".gl-play:visible").count() == 1
    again = visit(page([record("naive"), record("detach")]), "#both=1&step=12")
    assert again.locator(".gl-play:visible").count() == 2
    assert step(again) == "step 12 of 19"


def test_it_plays_until_it_is_stopped(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=1")
    opened.clock.install()
    opened.get_by_role("button", name="Play (space)").click()
    for _ in range(3):
        opened.clock.run_for(9_000)
    at = int(step(opened).split()[1])
    assert at > 3
    opened.get_by_role("button", name="Pause (space)").click()
    opened.clock.run_for(60_000)
    assert step(opened) == f"step {at} of 14"
    opened.locator(".gl-say:visible").click()
    press(opened, " ")
    opened.clock.run_for(200_000)
    assert step(opened) == "step 14 of 14"
    assert opened.get_by_role("button", name="Play (space)").is_visible()


def test_nothing_moves_from_step_to_step(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=1")
    places = [".gl-controls", ".gl-panes", ".gl-code", ".gl-cause", ".gl-graph", ".gl-tensors"]

    def layout() -> list[Any]:
        boxes = [opened.locator(place).bounding_box() for place in places]
        return [*boxes, opened.locator(".gl-figure:visible svg").bounding_box()]

    first = layout()
    for _ in range(13):
        press(opened, "ArrowRight")
        assert layout() == first


def test_no_text_of_a_box_lies_on_another(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]))
    texts = """[...document.querySelectorAll('.gl-figure:not([hidden]) g.node text')]
      .filter((e) => e.textContent && getComputedStyle(e).visibility === 'visible')
      .map((e) => e.getBoundingClientRect()).map((r) => [r.left, r.top, r.right, r.bottom])"""
    boxes = opened.evaluate(texts)
    assert len(boxes) > 20
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            apart = (
                right <= other[0]
                or other[2] <= left
                or bottom <= other[1] + 2
                or other[3] <= top + 2
            )
            assert apart, (boxes[at], other)


def test_a_scenarios_page_is_small(record: Record) -> None:
    for names in (["naive"], ["detach"], ["joint"], ["naive", "detach"]):
        assert len(page([record(name) for name in names], quiz=True).encode()) < 400_000


@pytest.mark.parametrize("name", [each.name for each in scenarios()])
def test_a_page_is_light(record: Record, name: str) -> None:
    """A class loads it by a school's network, or has it mailed."""
    assert len(page([record(name)], quiz=True).encode()) < 400_000
