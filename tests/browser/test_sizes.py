"""The page for a projector, on a phone, at 200 % zoom, and with two runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
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


@pytest.mark.parametrize("name", ["naive", "naive-fused"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_from_step_to_step(
    visit: Visit, record: Record, name: str, width: int
) -> None:
    size = {"width": width, "height": 720}
    opened = visit(page([record(name)]), "#step=1", viewport=size)
    places = [".gl-controls", ".gl-panes", ".gl-code", ".gl-cause", ".gl-name", ".gl-object"]
    if width > 400:
        places += [".gl-graph", ".gl-figure:visible svg", ".gl-tensors", ".gl-cause .gl-scene + p"]
        places += ["thead th:nth-child(2)", "thead th:nth-child(4)"]

    def layout() -> list[float]:
        boxes = [opened.locator(place).bounding_box() for place in places]
        # A sentence below the drawing may have one line or two; it begins at one place.
        return [each[side] for each in boxes for side in ("x", "y", "width")]

    first = layout()
    for _ in range(13):
        press(opened, "ArrowRight")
        # Half a pixel is the rounding of a line's height.
        assert layout() == pytest.approx(first, abs=1)


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


def letters(opened: Any) -> float:
    """The size of the smallest letters of the figure, in pixels of the page."""
    return opened.evaluate(
        """() => Math.min(...[...document.querySelectorAll('.gl-figure svg text')]
          .filter((e) => e.textContent.trim() && e.getBoundingClientRect().width)
          .map((e) => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a))"""
    )


def test_the_figures_letters_can_be_read(visit: Visit, record: Record) -> None:
    large = visit(page([record("recompute")]))
    assert letters(large) >= 9.4
    spare = "e => Math.max(e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight)"
    assert large.locator(".gl-figure:visible").evaluate(spare) <= 1
    opened = visit(page([record("naive")]))
    assert letters(opened) >= 9.9
    # And yet all of it is seen at once.
    assert opened.locator(".gl-figure:visible").evaluate(spare) <= 1
    press(opened, "p")
    opened.get_by_role("button", name="graph", exact=True).click()
    assert letters(opened) >= 14.5
    assert letters(visit(page([record("naive"), record("detach")]))) >= 9.9
    phone = visit(page([record("naive")]), viewport={"width": 390, "height": 844})
    phone.get_by_role("button", name="graph", exact=True).click()
    assert letters(phone) >= 9.2


@pytest.mark.parametrize("name", ["naive", "naive-fused"])
def test_for_a_projector_nothing_is_cut_or_overlaps(
    visit: Visit, record: Record, name: str
) -> None:
    opened = visit(page([record(name)]))
    press(opened, "p")
    for pane, place in PANES.items():
        opened.get_by_role("button", name=pane, exact=True).click()
        found = opened.locator(f".gl-{place}:visible")
        assert found.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    opened.get_by_role("button", name="one tensor", exact=True).click()
    parts = [
        opened.locator(each).bounding_box()
        for each in (".gl-name", ".gl-arrow.gl-right", ".gl-object", ".gl-arrow.gl-left")
    ]
    for one, other in pairwise(parts):
        assert one["x"] + one["width"] <= other["x"]
    text = "e => { const r = document.createRange(); r.selectNodeContents(e); "
    text += "return r.getBoundingClientRect().right }"
    assert opened.locator(".gl-name code").evaluate(text) <= parts[1]["x"]
    bar = opened.locator(".gl-slide:visible").bounding_box()
    assert bar["width"] > 150


def test_no_line_is_cut_in_half(visit: Visit, record: Record) -> None:
    """What the edge of the pane would cut is not shown, at every step and wherever one scrolls."""
    opened = visit(page([record("naive")]), "#step=1")
    shown_part = """e => {
      const [top, , bottom] = (e.style.clipPath.match(/[\\d.]+/g) || [0, 0, 0]).map(Number);
      return [e.scrollTop + top, e.scrollTop + e.clientHeight - bottom]; }"""
    places = """e => [...e.children]
      .map((each) => [each.offsetTop, each.offsetTop + each.offsetHeight])"""
    source = opened.locator(".gl-source:visible")

    def cut() -> list[Any]:
        top, bottom = source.evaluate(shown_part)
        return [
            (start, end)
            for start, end in source.evaluate(places)
            if start < top - 1 < end - 2 or start < bottom - 1 < end - 2
        ]

    for _ in range(13):
        assert cut() == []
        press(opened, "ArrowRight")
    source.evaluate("e => { e.scrollTop = 37 }")
    opened.wait_for_timeout(100)
    assert cut() == []


def test_the_help_opens_at_its_top(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), viewport={"width": 640, "height": 360})
    press(opened, "?")
    help = opened.locator("dialog.gl-help")
    assert help.evaluate("e => e.scrollTop") == 0
    assert help.get_by_role("button", name="Close").is_visible()
    assert "grad_output" in help.inner_text()
    press(opened, "Escape")
    assert not help.is_visible()


def test_on_a_phone_the_words_of_two_runs_have_room(visit: Visit, record: Record) -> None:
    both = page([record("naive"), record("detach")])
    opened = visit(both, viewport={"width": 390, "height": 844})
    moment = opened.locator(".gl-moment:visible").first
    assert moment.bounding_box()["height"] < 40
    assert "raised RuntimeError" in moment.inner_text()
    assert wide(opened) <= 0


@pytest.mark.parametrize("width, height", [(1280, 720), (390, 844)])
@pytest.mark.parametrize("names", [["naive"], ["naive", "detach"]])
def test_tab_goes_as_the_eye_does(
    visit: Visit, record: Record, width: int, height: int, names: list[str]
) -> None:
    opened = visit(page([*map(record, names)]), viewport={"width": width, "height": height})
    focused = """() => {
        const it = document.activeElement, box = it.getBoundingClientRect();
        return [it.closest(".gl-top") !== null, box.y + box.height / 2, box.x, it.textContent];
    }"""
    places = []
    for _ in range(14):
        press(opened, "Tab")
        inside, middle, left, text = opened.evaluate(focused)
        if inside:
            places.append((round(middle / 20), left, text))
    assert {"Present", "?"} <= {text for *_, text in places}
    assert places == sorted(places, key=lambda place: place[:2])


def test_a_button_that_changes_places_keeps_the_focus(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]))
    button = opened.locator(".gl-modes button", has_text="Present")
    before = button.bounding_box()
    button.focus()
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.wait_for_function("document.querySelector('.gl-flow') !== null")
    assert button.bounding_box() != before
    assert opened.evaluate("document.activeElement.textContent") == "Present"
