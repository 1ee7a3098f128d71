"""The player in a browser: stepping, keys, links, the quiz, two runs and two players."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from graphlab.views.player.page import RecordedRun, fragment, page
from tests.browser.pages import line, press, step

Record = Callable[[str], RecordedRun]
Visit = Callable[..., Any]

PANES = (".gl-code", ".gl-cause", ".gl-graph", ".gl-tensors", ".gl-account")
LAST = 14
STEP, BACKWARD = 11, 10

CRASH = """\
import torch
for turn in range(2):
\tloss = torch.ones(2, requires_grad=True).sum()
\tloss.backward()
\tif turn:
\t\traise ValueError("</script> 너무 작다")
"""


@pytest.fixture
def naive(visit: Visit, record: Record) -> Any:
    return visit(page([record("naive")]))


def test_it_opens_where_it_fails_and_says_why(naive: Any) -> None:
    assert step(naive) == f"step {LAST} of {LAST}"
    assert line(naive) == "G_loss_.backward()"
    card = naive.locator(".gl-error")
    assert card.is_visible()
    places = card.locator(".gl-places li").all_inner_texts()
    assert len(places) == 3
    assert "line 31" in places[0] and "saved here" in places[0] and "v1" in places[0]
    assert "written here by optimizer_D.step()" in places[1] and "v1 → v2" in places[1]
    assert "needed here at v1, but it is at v2" in places[2]


def test_a_run_without_a_finding_opens_at_its_start(visit: Visit, record: Record) -> None:
    opened = visit(page([record("detach")]))
    assert step(opened).startswith("step 1 of")
    press(opened, "End")
    assert opened.get_by_text("found no error and nothing to warn of").is_visible()


def test_keys(naive: Any) -> None:
    press(naive, "Home")
    assert step(naive) == f"step 1 of {LAST}"
    press(naive, "ArrowLeft")
    assert step(naive) == f"step 1 of {LAST}"
    press(naive, "ArrowRight", 3)
    assert (step(naive), line(naive)) == (f"step 4 of {LAST}", "gene_img = G(latent_z)")
    press(naive, "ArrowLeft")
    assert step(naive) == f"step 3 of {LAST}"
    for at in (BACKWARD, STEP, LAST):
        press(naive, "Shift+ArrowRight")
        assert step(naive) == f"step {at} of {LAST}"
    press(naive, "Shift+ArrowLeft")
    assert step(naive) == f"step {STEP} of {LAST}"
    press(naive, "End")
    assert step(naive) == f"step {LAST} of {LAST}"
    press(naive, "?")
    assert naive.get_by_role("dialog").is_visible()
    press(naive, "ArrowLeft")
    assert step(naive) == f"step {LAST} of {LAST}"
    press(naive, "Escape")
    assert not naive.get_by_role("dialog").is_visible()


def test_buttons_and_slider(naive: Any) -> None:
    naive.get_by_role("button", name="First step").click()
    assert step(naive) == f"step 1 of {LAST}"
    assert naive.get_by_role("button", name="Back").get_attribute("aria-disabled") == "true"
    naive.get_by_role("button", name="Forward").click()
    assert step(naive) == f"step 2 of {LAST}"
    naive.get_by_role("button", name="Last step").click()
    assert step(naive) == f"step {LAST} of {LAST}"
    slider = naive.get_by_role("slider")
    slider.fill(str(STEP))
    assert line(naive) == "optimizer_D.step()"
    assert slider.get_attribute("aria-valuetext") == f"step {STEP} of {LAST}, line 38"
    kinds = [each.split("gl-")[-1] for each in _classes(naive.locator(".gl-ticks .gl-tick"))]
    assert kinds == ["zero", "backward", "step", "zero", "raised"]


def _classes(found: Any) -> list[str]:
    return [each.get_attribute("class") for each in found.all()]


def test_saved_tensors_turn_red_at_the_step_that_writes_them(naive: Any) -> None:
    press(naive, "Home")
    kept = naive.locator(".gl-figure:visible text.gl-waits")
    assert naive.locator(".gl-stale").count() == 0
    assert set(kept.all_text_contents()) == {""}
    press(naive, "ArrowRight", BACKWARD - 1)
    assert "saved v1 ×5, v0 ×2" in kept.all_text_contents()
    assert naive.locator(".gl-stale").count() == 0
    row = naive.locator("tr", has_text="D.4.weight")
    assert [each.inner_text() for each in row.locator("td").all()] == ["v1", "D_loss_", "v1 ×2"]
    press(naive, "ArrowRight")
    assert naive.locator("text.gl-waits.gl-stale").all_text_contents() == ["v1 ×5 stale"]
    cells = [each.inner_text() for each in row.locator("td").all()]
    assert cells == ["v2", "D_loss_", "v1 ×2 stale"]
    press(naive, "ArrowLeft")
    assert naive.locator(".gl-stale").count() == 0


def test_a_write_that_no_version_counts_is_called_unseen(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive-fused")]))
    places = opened.locator(".gl-places .gl-chip").all_inner_texts()
    assert places == ["v1", "v1 → v1*", "v1*"]
    press(opened, "Shift+ArrowLeft")
    assert line(opened) == "optimizer_D.step()"
    assert opened.locator("text.gl-waits.gl-stale").all_text_contents() == ["v1* ×5 stale"]


def test_what_runs_is_lit_and_what_is_to_come_is_pale(naive: Any) -> None:
    def names(kind: str) -> list[str]:
        groups = naive.locator(f"g.node.{kind}:visible").all()
        return [group.locator("text").first.text_content() for group in groups]

    press(naive, "Home")
    assert "G_loss_" in names("gl-later") and names("gl-lit") == []
    press(naive, "ArrowRight", 3)
    assert set(names("gl-lit")) == {"G", "gene_img"}
    press(naive, "End")
    assert names("gl-later") == []
    assert set(names("gl-alarm")) == {"optimizer_D", "D", "gene_logit", "G_loss_"}


def test_the_ledger_fills_up_and_empties_again(naive: Any) -> None:
    def shown() -> list[str]:
        return naive.locator(".gl-entries li:visible strong").all_inner_texts()

    assert shown() == ["D_loss_.backward()", "optimizer_D.step()", "G_loss_.backward()"]
    naive.get_by_role("slider").fill(str(STEP))
    assert shown() == ["D_loss_.backward()", "optimizer_D.step()"]
    press(naive, "Home")
    assert shown() == []
    assert not naive.locator(".gl-error").is_visible()


def test_links(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), f"#step={STEP}")
    assert line(opened) == "optimizer_D.step()"
    press(opened, "End")
    opened.locator(".gl-places a").first.click()
    assert line(opened) == "gene_logit = D(gene_img)"
    opened.wait_for_function("location.hash === '#step=6'")
    opened.evaluate("location.hash = '#step=9'")
    opened.wait_for_function("document.querySelector('.gl-count').textContent.startsWith('step 9')")
    for odd in ("#step=999", "#step=-3", "#step=x", "#run=7&step=2"):
        opened.evaluate("hash => { location.hash = hash; }", odd)
    opened.wait_for_function("document.querySelector('.gl-count').textContent.startsWith('step 2')")


def test_the_levels_of_the_graph(naive: Any) -> None:
    module = naive.get_by_role("button", name="inside the modules")
    module.click()
    assert module.get_attribute("aria-pressed") == "true"
    assert naive.locator(".gl-figure:visible").get_attribute("data-level") == "module"
    assert naive.locator(".gl-figure:visible text.gl-waits.gl-stale").count() > 0


def test_another_run_is_one_click_away(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive"), record("detach")]), f"#run=1&step={LAST}")
    assert opened.locator(".gl-plus:visible").first.inner_text().endswith("D(gene_img.detach())")
    opened.get_by_role("button", name="Play detach").click()
    assert step(opened) == "step 1 of 19"
    press(opened, "ArrowRight")
    assert step(opened) == "step 2 of 19"
    opened.wait_for_function("location.hash === '#run=2&step=2'")
    opened.get_by_role("button", name="naive", exact=True).locator("visible=true").click()
    assert step(opened) == f"step {LAST} of {LAST}"
    again = visit(page([record("naive"), record("detach")]), "#run=2&step=7")
    assert step(again) == "step 7 of 19"


def test_names_are_text(visit: Visit, record: Record) -> None:
    opened = visit(page([record(HOSTILE)]))
    assert opened.locator(".gl-error").is_visible()
    assert opened.locator("img").count() == 0
    assert opened.evaluate("typeof window.hurt") == "undefined"
    assert "망.f.</script><img src=x onerror=hurt()>.weight" in opened.locator("table").inner_text()
    assert "<script>window.hurt = 1</script>" in opened.locator(".gl-source").inner_text()


HOSTILE = """
import torch

class 모듈(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.f = torch.nn.ModuleDict({
            "</script><img src=x onerror=hurt()>": torch.nn.Linear(2, 2),
            '"quo\\'te"': torch.nn.Linear(2, 1),
        })

    def forward(self, x):
        for each in self.f.values():
            x = torch.tanh(each(x))
        return x

망 = 모듈()
optimizer = torch.optim.SGD(망.parameters(), lr=0.1)
loss = 망(torch.ones(3, 2)).sum()  # </script><script>window.hurt = 1</script>
loss.backward(retain_graph=True)
optimizer.step()
loss.backward()
"""


def test_two_players_on_a_page_mind_their_own_keys(visit: Visit, record: Record) -> None:
    plays = [record("naive")]
    opened = visit(f"<!doctype html><meta charset=utf-8>{fragment(plays)}{fragment(plays)}")
    one, other = opened.locator(".gl-player").all()
    one.locator("button[aria-label^='First']").click()
    press(opened, "ArrowRight")
    counts = [each.locator(".gl-count").inner_text() for each in (one, other)]
    assert counts == [f"step 2 of {LAST}", f"step {LAST} of {LAST}"]
    other.locator("button[aria-label^='Back']").click()
    counts = [each.locator(".gl-count").inner_text() for each in (one, other)]
    assert counts == [f"step 2 of {LAST}", f"step {LAST - 1} of {LAST}"]
    assert "#step" not in opened.url


def test_in_a_notebooks_frame(visit: Visit, record: Record) -> None:
    from graphlab.api.player import Player

    opened = visit(f"<!doctype html><meta charset=utf-8>{Player([record('naive')])._repr_html_()}")
    frame = opened.frame_locator("iframe")
    frame.get_by_role("button", name="Back").click()
    assert frame.locator(".gl-count").inner_text() == f"step {LAST - 1} of {LAST}"


def test_a_long_iteration_is_stepped_through_whole(visit: Visit, record: Record) -> None:
    opened = visit(page([record(LONG)]))
    press(opened, "Home")
    count = int(step(opened).rpartition(" ")[2])
    assert count > 600
    opened.get_by_role("slider").fill(str(count - 1))
    before = opened.locator(".gl-say").inner_text()
    for key in ("ArrowRight", "ArrowLeft"):
        press(opened, key)
    assert opened.locator(".gl-say").inner_text() == before
    press(opened, "Home")
    press(opened, "Shift+ArrowRight")
    assert line(opened) == "loss.backward()"


LONG = """
import torch

cell = torch.nn.RNNCell(4, 4)
optimizer = torch.optim.SGD(cell.parameters(), lr=0.01)
hidden, loss = torch.zeros(1, 4), torch.zeros(())
for turn in range(200):
    hidden = cell(torch.ones(1, 4), hidden)
    loss = loss + hidden.sum()
loss.backward()
optimizer.step()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_its_place(visit: Visit, record: Record, scheme: str) -> None:
    plays = page([record("naive"), record("detach")])
    opened = visit(plays, f"#run=1&step={LAST}", color_scheme=scheme)
    for width, height in ((1280, 720), (1920, 1080), (800, 900)):
        opened.set_viewport_size({"width": width, "height": height})
        for at in range(1, LAST + 1, 3):
            opened.get_by_role("slider").locator("visible=true").fill(str(at))
            assert opened.evaluate("document.documentElement.scrollWidth") <= width
            for place in (".gl-code", ".gl-cause", ".gl-graph", ".gl-account", ".gl-source"):
                wide = "e => e.scrollWidth - e.clientWidth"
                for found in opened.locator(f"{place}:visible").all():
                    assert found.evaluate(wide) <= 0, place
    back = opened.evaluate("getComputedStyle(document.querySelector('.gl-player')).backgroundColor")
    assert back == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(13, 17, 23)")


def test_on_paper_all_of_the_step_is_there(naive: Any) -> None:
    naive.emulate_media(media="print")
    naive.set_viewport_size({"width": 760, "height": 1000})
    for place in (".gl-source", ".gl-cause", ".gl-tensors", ".gl-account"):
        hidden = "e => getComputedStyle(e).overflow !== 'visible' || e.clientHeight === 0"
        assert not naive.locator(place).evaluate(hidden), place
    tops = [naive.locator(p).bounding_box() for p in PANES]
    for above, below in pairwise(tops):
        assert above["y"] + above["height"] <= below["y"] + 1
    assert not naive.get_by_role("slider").is_visible()


def test_on_paper_a_long_file_is_what_lies_around_the_lines_that_run(
    visit: Visit, record: Record
) -> None:
    opened = visit(page([record(CRASH.replace("for", "#\n" * 300 + "for", 1))]))
    assert opened.locator(".gl-line:visible").count() == 306
    opened.emulate_media(media="print")
    assert opened.locator(".gl-line:visible").count() == 15 + 4


def test_without_a_script_it_says_so(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), java_script_enabled=False)
    assert opened.get_by_text("The player needs JavaScript.").first.is_visible()


def test_an_error_that_no_rule_knows_has_a_card(visit: Visit, record: Record) -> None:
    opened = visit(page([record(CRASH)]))
    card = opened.locator(".gl-error")
    assert card.get_by_text("The run raised ValueError").is_visible()
    assert card.get_by_text("</script> 너무 작다").is_visible()
    assert not opened.get_by_text("Nothing found").is_visible()
    assert line(opened).startswith("raise ValueError")
