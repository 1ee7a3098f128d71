"""A comparison as tables, as a page and as a figure, from numbers made up here."""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from graphlab.trace.comparison import (
    SCHEMA,
    AppliedGradient,
    Comparison,
    FindingSummary,
    ImageStatistics,
    Iteration,
    KnownLoss,
    Loop,
    LoopTraining,
    Losses,
    Run,
    Training,
    Turn,
    VectorDifference,
    document,
)
from graphlab.views.comparison import tables as views

RIGHT = Turn(1, True, VectorDifference(0.0, 1.0), VectorDifference(0.0, 1.0))
WRONG = Turn(1, True, VectorDifference(1.5, -0.25), VectorDifference(2.0, -0.5))
STILL = Turn(0, False, None, None)


def loops() -> tuple[Loop, ...]:
    whole = Loop(
        "a-loop-with-a-name-of-so", "It <works> | well.", "completed", None, (),
        (Iteration(True, RIGHT, RIGHT), Iteration(True, RIGHT, WRONG)),
        forwards={"G": 1.0, "D": 4.0}, backwards=1.5, saved_bytes=369_156, seconds=0.002,
        time_ratio=1.0,
    )  # fmt: skip
    raised = Loop(
        "broken", "It raises.", "raised", "RuntimeError",
        (
            FindingSummary("GL001", "error", "stale", 0),
            FindingSummary("GL108", "info", "wasted", 0),
        ),
        (Iteration(False, RIGHT, STILL),),
    )  # fmt: skip
    mixed = replace(
        whole, name="mixed", time_ratio=12.34, saved_bytes=12_345_678,
        findings=(
            FindingSummary("GL101", "warning", "mixed", 1),
            FindingSummary("GL103", "warning", "lost", 1),
        ),
    )  # fmt: skip
    return whole, raised, mixed


def image(value: float) -> list[list[list[float]]]:
    return [[[value] * 4] * 4]


def training() -> Training:
    def run(seed: int, mean: float) -> Run:
        return Run(
            seed, None, 20, ImageStatistics(500, mean, 0.5, 0.3, 100 + seed),
            tuple(Losses(10 * at, 4.5 - 0.1 * at, 5.0) for at in range(3)),
            (AppliedGradient(0, 0.9, -0.94), AppliedGradient(7, 0.0, 1.0)),
        )  # fmt: skip

    stopped = Run(
        0, "RuntimeError", 0, ImageStatistics(500, 0.0, 0.1, 0.9, 1), (Losses(0, 4.5, 5.0),), ()
    )
    return Training(
        2, 10, (0, 1),
        (
            LoopTraining("mixed", (run(0, -0.004), run(1, 0.004)), [image(0.5)] * 14),
            LoopTraining("broken", (stopped, stopped), [image(0.0)] * 14),
        ),
        ImageStatistics(500, -0.39, 0.75, 0.27, 373), [image(-1.0)] * 14,
        (KnownLoss("even", 4.85, 4.85),),
    )  # fmt: skip


def comparison(trained: bool = False) -> Comparison:
    return Comparison(
        loops(), 2, 0, "cpu", "2.13.0", ("--arch", "mlp"), training() if trained else None
    )


def printed(given: Comparison, width: int = 80) -> str:
    target = io.StringIO()
    Console(file=target, width=width, highlight=False).print(views.printed(given))
    return target.getvalue()


def cells(text: str, name: str) -> list[list[str]]:
    """The rows that begin with `name`, as words."""
    found = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return [words for words in found if words[0] == name]


def test_the_tables_fit_eighty_columns_and_cut_nothing() -> None:
    text = printed(comparison(trained=True))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_what_the_rows_say() -> None:
    text = printed(comparison(), 120)
    name = "a-loop-with-a-name-of-so"
    assert cells(text, name) == [
        [name, "clean", "2", "0", "1.00", "2", "0.75", "0.38", "−0.25"],
        [name, "1", "4", "1.5", "369 kB", "1.00 ×"],
    ]
    assert cells(text, "broken") == [["broken", "GL001", "1", "0", "1.00", "0", "–", "–", "–"]]
    assert cells(text, "mixed")[0][1] == "GL101+1"
    assert cells(text, "mixed")[1][-2:] == ["12.3 MB", "12.34 ×"]
    assert "1.00 × is 2 ms. Left out: 1 loop that raised." in text


def test_a_loop_that_raised_without_a_finding_shows_its_exception() -> None:
    bare = replace(loops()[1], findings=())
    text = printed(replace(comparison(), loops=(bare,)))
    assert cells(text, "broken")[0][1] == "RuntimeError"
    assert "What an iteration costs" not in text


def test_memory_of_a_gpu_has_its_column_where_there_is_one() -> None:
    on_gpu = replace(loops()[0], cuda_peak_bytes=2_500_000_000)
    assert "GPU peak" not in printed(comparison())
    text = printed(replace(comparison(), loops=(on_gpu,)))
    assert "GPU peak" in text and "2.5 GB" in text


def test_seeds_are_told_with_their_spread() -> None:
    text = printed(comparison(trained=True), 120)
    (row,) = [each for each in cells(text, "mixed") if len(each) == 6 and each[1] == "20"]
    assert row[2:] == ["0.00 ± 0.01", "0.50 ± 0.00", "0.30 ± 0.00", "100 ± 1"]
    assert ["mixed", "4", "45% ± 0%", "0.03 ± 0.00", "50% ± 0%"] in cells(text, "mixed")
    assert ["broken", "0", "–", "–", "–"] in cells(text, "broken")


def test_markdown_has_the_same_rows() -> None:
    text = views.markdown(comparison(trained=True))
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| mixed | GL101+1 | 2 | 0 | 1.00 | 2 | 0.75 | 0.38 | −0.25 |" in text


class Page(HTMLParser):
    VOID = frozenset(("meta", "img"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        given = dict(attrs)
        if tag in ("td", "th"):
            self.rows[-1] += int(given.get("colspan") or 1)
        self.links.extend(given[name] or "" for name in ("src", "href") if name in given)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone() -> None:
    page = Page()
    text = views.html(comparison(trained=True), b"\x89PNG")
    page.feed(text)
    assert page.open == []
    assert page.links == ["data:image/png;base64,iVBORw=="]
    assert set(page.rows) == {9, 6, 5}
    assert "@import" not in text and "url(" not in text
    assert "<img" not in views.html(comparison())


def test_what_a_page_is_given_is_escaped() -> None:
    odd = replace(comparison(), arguments=("<script>",))
    text = views.html(replace(odd, loops=(replace(loops()[0], name="<b>"),)))
    assert "<script>" not in text and "<b>" not in text


def test_the_document_has_all_numbers_and_no_images() -> None:
    found = json.loads(json.dumps(document(comparison(trained=True))))
    assert found["schema"] == SCHEMA == "graphlab.comparison/1"
    assert found["loops"][0]["iterations"][1]["G"]["update"] == {
        "relative_error": 1.5, "cosine": -0.25,
    }  # fmt: skip
    assert found["training"]["loops"][0]["runs"][1]["seed"] == 1
    assert "images" not in json.dumps(found)
    assert document(comparison())["training"] is None


# The figure


@pytest.fixture
def figure() -> Callable[..., bytes]:
    pytest.importorskip("matplotlib")
    from graphlab.views.comparison.plots import figure

    return figure


def test_the_figure_is_wide_enough_for_a_projector(figure: Callable[..., bytes]) -> None:
    drawn = figure(comparison(trained=True))
    assert drawn.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert width == 1920 and height >= 1080
    assert drawn == figure(comparison(trained=True))


def test_the_figure_says_what_the_table_says(figure: Callable[..., bytes]) -> None:
    drawn = figure(comparison(trained=True), "svg").decode()
    said = " ".join(re.findall(r"<!-- (.*?) -->", drawn))
    for words in ("real images", "mixed", "D_loss_", "G_loss_", "distinct 100 ± 1", "even"):
        assert words in said
    assert "RuntimeError in iteration 0" in said
    assert figure(comparison(trained=True), "pdf").startswith(b"%PDF")


def test_nothing_trained_is_nothing_to_draw(figure: Callable[..., bytes]) -> None:
    with pytest.raises(ValueError, match="nothing was trained"):
        figure(comparison())
