"""The pages about the post are as the runs are, and so are the numbers that other pages take."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = r"(?<![\w.])[−-]?\d+(?:\.\d+)?(?![\w.]*\w)"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_the_post", ROOT / "tools/make_the_post.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def numbers(tool: ModuleType) -> dict[str, object]:
    return tool.numbers()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_page_is_as_the_runs_are(
    tool: ModuleType, numbers: dict[str, object], language: str
) -> None:
    page = tool.PAGES[language].read_text(encoding="utf-8")
    # Of the page it is said with which torch it was made; this may be another.
    version = re.search(r"PyTorch (\d[\w.]*\w)", page)
    assert version is not None
    made = tool.made(language, {**numbers, "torch": version[1]})
    assert re.sub(NUMBER, "#", page) == re.sub(NUMBER, "#", made)
    for ours, seen in zip(re.findall(NUMBER, page), re.findall(NUMBER, made), strict=True):
        # One in the last place, which another processor may round otherwise.
        assert float(ours.replace("−", "-")) == pytest.approx(
            float(seen.replace("−", "-")), abs=1.01 if "." not in ours else 0.0101
        )


@pytest.mark.parametrize("language", ["en", "ko"])
def test_what_a_page_links_to_is_there(tool: ModuleType, language: str) -> None:
    page = tool.PAGES[language].read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", page)
    assert links
    assert [each for each in links if not (ROOT / "docs" / each).is_file()] == []


def test_the_rule_page_of_the_silent_error_has_its_numbers(numbers: dict[str, object]) -> None:
    page = " ".join((ROOT / "docs/rules/GL105.md").read_text(encoding="utf-8").split())
    assert f"a relative error of {numbers['fused_error']} in its first iteration" in page
    assert f"a cosine of {numbers['fused_cosine']} with the right gradient" in page
    page = " ".join((ROOT / "docs/rules/ko/GL105.md").read_text(encoding="utf-8").split())
    assert f"상대 오차 {numbers['fused_error']}과" in page
    assert f"코사인 {numbers['fused_cosine']}을" in page
