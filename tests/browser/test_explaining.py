"""What the page says of the cause: one tensor, the failing path, the versions in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.views.player.page import RecordedRun, page
from tests.browser.pages import press

Record = Callable[[str], RecordedRun]
Visit = Callable[..., Any]


def marks(opened: Any) -> list[str]:
    """The red texts of the figure that are seen."""
    seen = "e => getComputedStyle(e).visibility === 'visible'"
    texts = opened.locator(".gl-figure:visible text[class^=gl-mark]").all()
    return [each.text_content() for each in texts if each.evaluate(seen)]


def test_one_object_with_two_ways_to_it(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=6")
    cause = opened.locator(".gl-cause")
    assert cause.locator(".gl-object strong").inner_text() == "v1"
    assert cause.locator("li").all_inner_texts() == [
        "line 30 expects v1, as saved", "line 31 expects v1, as saved",
    ]  # fmt: skip
    assert "grad_input = grad_output · W" in cause.inner_text()
    assert "W = D.4.weight at v1" in cause.inner_text()
    assert "Nothing was copied." in cause.inner_text()
    opened.get_by_role("slider").fill("11")
    assert cause.locator(".gl-object.gl-changed strong").inner_text() == "v2"
    assert cause.locator("li.gl-stale").count() == 2
    assert "grad_input goes on through line 31 to 6 parameters of G." in cause.inner_text()


def test_another_tensor_can_be_followed(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=11")
    opened.get_by_role("button", name="Follow G.2.weight").click()
    assert opened.locator(".gl-name code").inner_text() == "G.2.weight"
    assert opened.locator(".gl-cause li.gl-held").count() == 1


def test_the_failing_path_comes_mark_by_mark(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=5")
    assert marks(opened) == []
    press(opened, "ArrowRight")
    assert marks(opened)[:2] == ["① D.4.weight", "saved at version 1"]
    opened.get_by_role("slider").fill("11")
    assert {"② step(), line 38", "writes version 2"} <= set(marks(opened))
    assert "③ backward(), line 43" not in marks(opened)
    press(opened, "End")
    assert {"③ backward(), line 43", "needs version 1"} <= set(marks(opened))
    said = opened.locator(".gl-say").inner_text()
    assert "retain_graph=True in line 37 kept the tensor, not its values." in said
    lit = opened.locator(".gl-figure:visible g.edge.gl-alarm")
    ids = [each.rpartition("-gl-")[2] for each in lit.evaluate_all("all => all.map(e => e.id)")]
    # From the call of D in line 31 to gene_logit, on to G_loss_, and from the optimizer to D.
    assert sorted(ids) == ["b2-l1-e-b4", "b4-b7", "o0-b2"]


def test_a_silent_one_is_as_red_as_a_loud_one(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive-fused")]))
    said = opened.locator(".gl-say").inner_text()
    assert "It used v1* of D.4.weight" in said and "Measured here" in said and "cosine 0." in said
    assert {"writes it, unseen by autograd", "uses the new values"} <= set(marks(opened))
    assert opened.locator(".gl-cause .gl-object strong").inner_text() == "v1*"
    assert opened.locator(".gl-figure:visible g.gl-lit").count() == 0
    assert opened.locator(".gl-now.gl-fails").count() == 1


def test_a_clean_loop_shows_its_order_and_the_versions(visit: Visit, record: Record) -> None:
    opened = visit(page([record("detach")]), "#step=17")
    texts = opened.locator(".gl-figure:visible text").all_text_contents()
    for words in ("① backward(), line 35", "② step(), line 36", "③ backward(), line 44"):
        assert words in texts
    assert {"line 29, weights v1", "line 40, weights v2"} <= set(texts)
    assert (
        "It needs D.4.weight as it was at v2, and so it is."
        in opened.locator(".gl-say").inner_text()
    )


def test_what_a_recomputed_loop_leaves_behind_is_no_alarm(visit: Visit, record: Record) -> None:
    opened = visit(page([record("recompute")]), "#step=11")
    said = opened.locator(".gl-say")
    assert "No backward in this iteration needs them any more." in said.inner_text()
    color = "e => getComputedStyle(e).fill"
    stale = opened.locator(".gl-figure:visible text.gl-waits.gl-stale").evaluate(color)
    opened.get_by_role("slider").fill("16")
    assert "takes away 6 gradients, which came from D_loss_." in said.inner_text()
    failing = visit(page([record("naive")]))
    alarm = failing.locator(".gl-figure:visible text.gl-waits.gl-stale").evaluate(color)
    assert (stale, alarm) == ("rgb(87, 96, 106)", "rgb(200, 16, 46)")


def test_the_graph_has_a_description(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]))
    figure = opened.locator(".gl-figure:visible svg")
    told = opened.locator(f"#{figure.get_attribute('aria-describedby')}").text_content()
    assert "D_loss_" in told and "needs version 1" in told
    # A title or a description that Graphviz or we named is an id of the page, and once only.
    ids = "[...document.querySelectorAll('[id]')].map((each) => each.id)"
    assert len(set(opened.evaluate(ids))) == len(opened.evaluate(ids))


def test_one_colour_for_one_network(visit: Visit, record: Record) -> None:
    def fill(opened: Any, name: str) -> str | None:
        box = opened.locator(f"g.node:has(title:text('{name} (Sequential)'))").first
        return box.locator("path, polygon").first.get_attribute("fill")

    pages = [visit(page([record(name)])) for name in ("naive", "joint", "detach")]
    fills = {tuple(fill(each, name) for name in ("G", "D")) for each in pages}
    assert len(fills) == 1 and None not in next(iter(fills))


def test_an_info_says_what_else_a_repair_would_save(visit: Visit, record: Record) -> None:
    """The error's help computes again; that detach() is for the wasted gradients, the info says."""
    opened = visit(page([record("naive")]), "#step=13")
    assert opened.locator(".gl-info:visible").count() == 0
    press(opened, "End")
    error = opened.locator(".gl-error").inner_text()
    info = opened.locator(".gl-info:visible").inner_text()
    assert "Compute real_logit, gene_logit and Z_B again" in error
    assert "info GL108" in info and "Detach gene_img" in info
    calm = visit(page([record("recompute")]))
    press(calm, "End")
    assert calm.locator(".gl-good:visible").count() == 1
    assert calm.locator(".gl-info:visible").count() >= 1


def test_whatever_is_written_unseen_has_a_star(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive-fused")]), "#step=10")
    versions = opened.locator(".gl-tensors .gl-version")
    names = opened.locator(".gl-tensors tbody th").all_inner_texts()
    before = dict(zip(names, versions.all_inner_texts(), strict=True))
    press(opened, "ArrowRight")
    after = dict(zip(names, versions.all_inner_texts(), strict=True))
    assert {name: text for name, text in after.items() if text != before[name]} == {
        f"D.{layer}.{kind}": "v1*" for layer in (0, 2, 4) for kind in ("weight", "bias")
    }


def test_a_phone_shows_one_line_for_each_that_waits(visit: Visit, record: Record) -> None:
    opened = visit(page([record("naive")]), "#step=6", viewport={"width": 390, "height": 844})
    line = "e => e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight)"
    assert all(
        each < 1.6
        for each in opened.locator(".gl-scene li").evaluate_all(f"all => all.map({line})")
    )
    header = opened.locator("header").first
    tops = header.evaluate("e => [...e.children].map(each => each.getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 20


def test_beside_another_run_it_is_said_what_the_change_does(visit: Visit, record: Record) -> None:
    """Which of detach and recompute cures what, in words."""

    def rows(one: str, other: str) -> dict[str, list[str]]:
        opened = visit(page([record(one), record(other)]))
        opened.get_by_role("button", name="findings", exact=True).first.click()
        press(opened, "End")
        found = opened.locator(".gl-changes:visible").first.locator("tbody tr").all()
        cells = [each.locator("th, td").all_inner_texts() for each in found]
        return {what: texts for what, *texts in cells}

    everything = "6 parameters of D and 6 of G"
    cured = {
        "How the iteration ends": ["RuntimeError in line 43", "runs through"],
        "G_loss_.backward() writes the gradients of": ["none: it raises", everything],
        "G_loss_.backward() needs D.4.weight": ["at v1, but it is at v2", "at v2, as it is"],
        "optimizer_G.step() applies the gradient of": ["it is not reached", "G_loss_"],
    }
    wrote = "D_loss_.backward() writes the gradients of"
    assert rows("naive", "recompute") == cured
    assert rows("naive", "detach") == cured | {wrote: [everything, "6 parameters of D"]}
    assert rows("detach", "recompute") == {wrote: ["6 parameters of D", everything]}
