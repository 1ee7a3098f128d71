"""The catalogues hold the same texts in every language, and forms read as a Korean writes them."""

from __future__ import annotations

import string

import pytest

from graphlab import language
from graphlab.errors import UserError
from graphlab.language.forms import Texts, particle


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_is_there_in_every_language_with_the_same_arguments() -> None:
    english = language.catalogue("en")
    assert english
    for code in language.LANGUAGES:
        other = language.catalogue(code)
        assert sorted(set(english) ^ set(other)) == []
        assert {k for k in english if fields(english[k]) != fields(other[k])} == set()


def test_every_text_can_be_formatted() -> None:
    for code in language.LANGUAGES:
        for text in language.catalogue(code).values():
            for _, name, form, _ in string.Formatter().parse(text):
                if name is not None:
                    assert name.isidentifier(), f"{name!r} in {text!r}"
                    Texts().format("{x:" + (form or "") + "}", x=2)


def test_korean_is_written_in_korean() -> None:
    english, korean = language.catalogue("en"), language.catalogue("ko")
    same = [key for key in korean if korean[key] == english[key] and " " in korean[key]]
    assert same == []


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("값", "을", "을"),
        ("그래프", "을", "를"),
        ("길", "으로", "로"),
        ("역전파", "이", "가"),
        ("optimizer_D", "을", "를"),
        ("v1", "으로", "로"),
        ("v3", "과", "과"),
        ("Adam", "은", "은"),
        ("loss", "은", "는"),
        ("G_loss_.backward()", "이", "가"),
        ("gene_logit", "을", "을"),
        ("D.4.weight", "이", "가"),
        ("optimizer_D.step()", "이", "이"),
        ("flat", "을", "을(를)"),
        ("flat", "으로", "(으)로"),
    ],
)
def test_the_particle_follows_the_sound(name: str, kind: str, expected: str) -> None:
    assert particle(name, kind) == expected


def test_a_number_chooses_its_form() -> None:
    text = Texts()
    assert text.format("{n:# node|# nodes}", n=1) == "1 node"
    assert text.format("{n:# node|# nodes}", n=3000) == "3,000 nodes"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "ko_KR.UTF-8"}, "en"),
        ({"GRAPHLAB_LANG": "ko", "LANG": "en_US.UTF-8"}, "ko"),
        ({"GRAPHLAB_LANG": "klingon", "LANG": "ko_KR.UTF-8"}, "en"),
    ],
)
def test_the_environment_names_the_language(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("GRAPHLAB_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = language.current()
    try:
        language.choose(None)
        assert language.current() == expected
    finally:
        language.choose(before)


def test_a_message_is_english_and_is_told_in_the_language_of_the_process() -> None:
    inner = language.message("report.clear.no_backward")
    assert (inner, inner.key) == (language.say_in("en", "report.clear.no_backward"), inner.key)
    before = language.current()
    try:
        language.choose("ko")
        assert language.told(inner) == language.say_in("ko", "report.clear.no_backward") != inner
        assert language.told("as it is") == "as it is"
    finally:
        language.choose(before)


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="'xx'") as raised:
        language.choose("xx")
    assert "ko" in raised.value.help
