"""The table of graphlab fix, in both languages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.cells import cell_len

from graphlab import language
from graphlab.language import message
from graphlab.trace.repairs.model import Candidate, Check, Cost, Repairs
from graphlab.views import console
from graphlab.views.terminal.repairs import RepairTable

CHECKS = (
    Check(message("fix.check.runs"), True, message("fix.runs.to_its_end", count=12)),
    Check(
        message("fix.check.silences"), True,
        message("fix.silences.reached", count=12, who=["optimizer_G", "optimizer_D"]),
    ),
    Check(
        message("fix.check.gradients"), False,
        message("fix.gradients.another", share="0.95", name="optimizer_G", loss="D_loss"),
    ),
)  # fmt: skip
TEXTS = [
    message("repairs.tried.keep_graph", line=12),
    message("repairs.tried.compute_after", names=["fake", "G_loss"], line=40),
]
TRIED = Candidate(
    message("fix.together", texts=TEXTS), "", (), "rejected", CHECKS, Cost(3, 1, 123_456)
)


@pytest.fixture(params=["en", "ko"])
def spoken(request: pytest.FixtureRequest) -> Iterator[str]:
    language.choose(request.param)
    yield request.param
    language.choose(None)


def shown(width: int) -> list[str]:
    return console.text(RepairTable(Repairs("x.py", (), (TRIED,), None), None), width=width).split(
        "\n"
    )


def test_everything_is_told_in_the_language_that_was_asked_for(spoken: str) -> None:
    words = " ".join(" ".join(shown(200)).split())
    expected = {
        "en": ("1 rejected Keep the graph in line 12. Compute fake and G_loss after line 40.",
               "✓ runs clean to its end, 12 iterations",
               "an iteration 3 forwards, 1 backward, 123 kB saved"),
        "ko": ("1 기각됨 12행에서 그래프를 유지하세요. 40행 다음에 fake, G_loss 계산을 하세요.",
               "✓ 문제없이 실행 끝까지 실행, 12회 반복",
               "반복 한 번에 순전파 3회, 역전파 1회, 123 kB 저장"),
    }  # fmt: skip
    assert [each for each in expected[spoken] if each not in words] == []


@pytest.mark.parametrize("width", range(57, 80))
def test_no_word_is_lost_at_any_width_and_columns_line_up(spoken: str, width: int) -> None:
    lines = shown(width)
    words = "".join(lines).replace(" ", "")
    assert "…" not in words
    for check in CHECKS:
        assert language.told(check.detail).split()[-1] in words
    marked = [line for line in lines if line.strip()[:1] in ("✓", "✗")]
    assert {cell_len(line[: line.index(_detail(line))]) for line in marked} == {34}


def _detail(line: str) -> str:
    """What stands in the last column, two or more blanks behind the one before."""
    return line.strip().split("  ")[-1].strip()
