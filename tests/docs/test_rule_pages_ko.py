"""The Korean rule pages follow the English ones: same title, sections, code and names; and a change
of an English page is noticed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from graphlab import language
from graphlab.commands import explain
from graphlab.commands import list as listing
from graphlab.rules import pages
from graphlab.rules.registry import RULES

PAGES = Path(__file__).resolve().parents[2] / "docs" / "rules"
HEADINGS = [
    "무엇을 알려 주는가",
    "왜 문제인가",
    "예시",
    "고치는 방법",
    "증상만 감추는 수정",
    "알려진 한계",
]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODES = [each.code for each in RULES]


def english(code: str) -> str:
    return (PAGES / f"{code}.md").read_text(encoding="utf-8")


def korean(code: str) -> str:
    return (PAGES / "ko" / f"{code}.md").read_text(encoding="utf-8")


def sections(page: str) -> list[str]:
    return re.split(r"^## .+\n", page, flags=re.MULTILINE)


def names(page: str) -> set[str]:
    """What a page sets in code within its sentences."""
    return {" ".join(each.split()) for each in re.findall(r"`([^`]+)`", BLOCK.sub("", page))}


@pytest.fixture
def in_korean() -> Iterator[None]:
    before = language.current()
    language.choose("ko")
    yield
    language.choose(before)


@pytest.mark.parametrize("code", CODES)
def test_a_page_is_made_from_the_english_one_of_today(code: str) -> None:
    digest = hashlib.sha256(english(code).encode()).hexdigest()[:12]
    line = f"<!-- English page: {digest} -->"
    assert korean(code).splitlines()[0] == line, (
        f"docs/rules/{code}.md has changed: bring docs/rules/ko/{code}.md up to date with it, and "
        f"then make this its first line: {line}"
    )


@pytest.mark.parametrize("code", CODES)
def test_a_page_has_the_sections_the_code_and_the_names_of_the_english_one(code: str) -> None:
    theirs, ours = english(code), korean(code)
    assert ours.splitlines()[1] == theirs.splitlines()[0]
    assert re.findall(r"^## (.+)", ours, re.MULTILINE) == HEADINGS
    there, here = sections(theirs), sections(ours)
    assert [BLOCK.findall(each) for each in here] == [BLOCK.findall(each) for each in there]
    assert [each.count("\n- ") for each in here] == [each.count("\n- ") for each in there]
    assert names(theirs) - names(ours) == set()


@pytest.mark.parametrize("code", CODES)
def test_a_page_is_korean_throughout(code: str) -> None:
    prose = BLOCK.sub("", korean(code)).partition("\n\n")[2]
    parts = [each for each in re.split(r"\n\n+|\n(?=- )", prose) if each.strip()]
    assert [each for each in parts if not re.search("[가-힣]", each)] == []
    # A sentence that was left in English; what PyTorch says stands in quotation marks.
    told = re.sub(r'`[^`]*`|"[^"]*"', "", prose)
    assert re.findall(r"(?:[A-Za-z]+,?\s+){4,}", told) == []
    assert [line for line in prose.splitlines() if cell_len(line) > 100] == []


def test_the_command_shows_them_and_they_fit(
    in_korean: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule in RULES:
        explain.explain(rule.code)
        page = capsys.readouterr().out
        assert f"{rule.code} {rule.name}" in page
        assert HEADINGS[1] in page
        assert "English page" not in page
        assert [line for line in page.splitlines() if cell_len(line) > 80] == []
    listing.list_all()
    out = capsys.readouterr().out
    assert language.say_in("ko", "list.rules") in out
    assert [line for line in out.splitlines() if cell_len(line) > 80] == []


def test_what_is_quoted_from_them_is_whole(in_korean: None) -> None:
    for code in CODES:
        for quoted in (pages.summary(code), pages.why(code)):
            assert quoted.endswith(".")
            assert "`" not in quoted


def test_a_page_that_is_not_translated_is_shown_in_english(
    in_korean: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "folder", lambda: tmp_path)
    (tmp_path / "GL001.md").write_text("# GL001 stale-saved-tensor\n", encoding="utf-8")
    assert pages.page("GL001") == "# GL001 stale-saved-tensor\n"
