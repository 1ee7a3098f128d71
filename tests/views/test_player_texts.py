"""The texts of the player: the script's keys are in the catalogue, and a page has one language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphlab import language
from graphlab.trace.model import Mix, Share, Step
from graphlab.views.player import page as pages
from graphlab.views.player.page import SCRIPT, TEXTS, page
from graphlab.views.player.texts.sentences import mixed
from tests.rules.cases import FILMED
from tests.views.test_player_data import read, shown

HANGUL = re.compile("[가-힣]")
FOLDER = Path(pages.__file__).parent / "script"
# Keys that the script puts together: the panes, the levels, and the marks on the slider.
BUILT = re.compile(r"(pane|level|legend)_\w+")


@pytest.fixture
def korean() -> Iterator[None]:
    language.choose("ko")
    yield
    language.choose(None)


def test_every_text_of_the_script_is_there_and_every_one_is_used() -> None:
    code = "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPT)
    assert {path.stem for path in FOLDER.iterdir()} == set(SCRIPT)
    known = {key.removeprefix(TEXTS) for key in language.catalogue("en") if key.startswith(TEXTS)}
    said = set(re.findall(r'say\("(\w+)"', code))
    assert sorted(said - known) == []
    quoted = set(re.findall(r'"(\w+)"', code))
    unused = {key for key in known - quoted if not BUILT.fullmatch(key)}
    assert unused == {"title", "no_script"}, "these two are Python's"


def test_the_script_is_asked_for_no_particle() -> None:
    """It knows plurals alone."""
    for code in language.LANGUAGES:
        for key, text in language.catalogue(code).items():
            if key.startswith(TEXTS):
                forms = re.findall(r"\{\w+:([^}]*)\}", text)
                assert all("|" in form for form in forms), key


@pytest.mark.parametrize("case", FILMED, ids=lambda case: case.name)
def test_every_sentence_is_korean_in_korean(korean: None, case: object) -> None:
    told = shown(case)  # pyright: ignore[reportArgumentType]
    for step in told["steps"]:
        # A sentence ends as polite speech does.
        assert all(each.endswith("다") for each in step["say"].rstrip(".").split(". ")), step["say"]
    for finding in told["findings"]:
        assert HANGUL.search(finding["title"])
        assert all(HANGUL.search(place["text"]) for place in finding["places"])


def test_the_page_says_which_language_it_is(korean: None) -> None:
    text = page([read(FILMED[0])], quiz=True)
    assert '<html lang="ko">' in text
    data = json.loads(re.findall(r'class="gl-data">(.*?)</script>', text, re.DOTALL)[0])
    assert HANGUL.search(data["texts"]["told_stale"])
    for question in data["plays"][0]["quiz"]:
        assert HANGUL.search(question["text"]) and HANGUL.search(question["words"])
    figure = re.findall(r"<svg.*?</svg>", text, re.DOTALL)[0]
    assert "line " not in figure and "행" in figure


def test_a_mixed_step_tells_the_shares_of_two_losses() -> None:
    def told(*shares: tuple[str, float], cosine: float = -0.92) -> str:
        losses = tuple(Share(loss, None, 2, 1.0, share, 0.0) for loss, share in shares)
        pair = (losses[0].loss, losses[-1].loss, cosine)
        return mixed(Step(0, None, 0, 0, tuple(loss for loss, _ in shares), Mix(losses, (pair,))))

    assert told(("D_loss_", 0.65), ("G_loss_", 0.35)) == (
        " One sum lies in .grad: 65% of it from D_loss_ and 35% of it from G_loss_, "
        "and the two point apart (cosine -0.92)."
    )
    assert "point apart" not in told(("a", 0.5), ("b", 0.5), cosine=0.3)
    # Of one alone, of next to nothing, and of what was not measured, nothing is said.
    assert told(("D_loss_", 1.0)) == told(("a", 0.999), ("b", 0.001)) == ""
    assert mixed(Step(0, None, 0, 0, ("a", "b"))) == ""
