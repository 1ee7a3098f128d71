"""The report in a terminal: the whole of it as goldens at 80 columns, and nothing cut at any width.

GRAPHLAB_UPDATE_GOLDENS=1 writes the goldens anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.cells import cell_len

from graphlab.rules.registry import find
from graphlab.trace.model import Failure
from graphlab.views import console
from graphlab.views.terminal import report as terminal
from graphlab.views.terminal.report import PostMortem
from tests.rules.build import Script, activation, backward, parameter, saved, write
from tests.rules.cases import ALL, SPEAKING, Case

GOLDEN = Path(__file__).with_name("golden")
UPDATE = os.environ.get("GRAPHLAB_UPDATE_GOLDENS") == "1"

speaking = pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
every = pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)


def full(case: Case, width: int = 80) -> str:
    trace = case.trace()
    return console.text(terminal.full(trace, find(trace), []), width=width)


def short(case: Case, width: int = 80) -> str:
    trace = case.trace()
    return console.text(terminal.short(trace, find(trace)), width=width)


@speaking
def test_the_whole_report_says_what_it_said(case: Case) -> None:
    path = GOLDEN / f"{case.name}.txt"
    text = full(case)
    if UPDATE:
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_golden_has_a_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {case.name for case in SPEAKING}


@pytest.mark.parametrize("width", [60, 80, 132])
@every
def test_nothing_is_wider_than_the_terminal_or_cut(case: Case, width: int) -> None:
    for text in (full(case, width), short(case, width)):
        for line in text.splitlines():
            assert cell_len(line) <= width, line
            assert line == line.rstrip()
            # `x += …` is how a write is told, and cuts nothing off.
            assert not line.endswith("…") or line.endswith("= …")


@every
def test_the_short_report_is_outcome_headlines_and_ledger(case: Case) -> None:
    trace = case.trace()
    words = " ".join(short(case).split())
    marks = {"completed": "✓", "raised": "✗"}
    assert words.startswith(f"{marks[trace.outcome]} {case.name} {trace.outcome}")
    for finding in find(trace):
        headline = f"{finding.severity}[{finding.code}]: {finding.summary}"
        assert " ".join(headline.split()) in words
    for optimizer in trace.optimizers:
        assert f"{optimizer.name} {optimizer.class_name}" in words
    assert "^" not in words and "help:" not in words


def test_a_story_is_told_in_the_order_in_which_it_ran() -> None:
    script = Script(
        "y = x.exp()\nx.add_(1)\ny.sum().backward()\n",
        tensors=(activation("x"), parameter("w")),
    )
    trace = script.trace(
        write(script.at("x.add_(1)"), "x.add_()", before=0, after=1),
        backward(
            script.at("y.sum().backward()"), "y.sum()",
            problems=(
                saved("stale", script.at("y = x.exp()"), write=0, operation="ExpBackward0"),
                saved("stale", script.at("y = x.exp()"), tensor=1, operation="ExpBackward0"),
            ),
        ),
    )  # fmt: skip
    text = console.text(terminal.full(trace, find(trace), ["recompute  fresh logits."]))
    places = [text.index(each) for each in ("1. x saved here", "2. written here", "3. needed here")]
    assert places == sorted(places)
    rows = text.splitlines()
    for row in (
        "       0    1 │ y = x.exp()",
        "   0 → 1    2 │ x.add_(1)",
        "       1    3 │ y.sum().backward()",
    ):
        assert row in rows
    assert rows[rows.index("also stale") + 2] == "    w"
    assert rows[-1] == "see:  graphlab run recompute  fresh logits."


def test_a_post_mortem_ends_with_the_command_that_would_tell_for_sure() -> None:
    script = Script("loss.backward()\n")
    event = backward(script.at("loss.backward()"), trouble="no-graph", raised="RuntimeError")
    failure = Failure("RuntimeError", "element 0 of tensors does not require grad", event.at)
    known = script.trace(event, exception=failure)
    text = console.text(PostMortem(known, find(known), "graphlab run train.py"))
    assert text.startswith("error[GL005]: no graph leads to loss\n")
    assert text.endswith("to confirm: graphlab run train.py\n")
    unknown = script.trace(exception=failure, unseen=("a frame has no source",))
    assert console.text(PostMortem(unknown, [], "graphlab run train.py")).splitlines() == [
        "this RuntimeError is autograd's, but its traceback tells no more about it",
        "notice: a frame has no source",
        "to confirm: graphlab run train.py",
    ]
