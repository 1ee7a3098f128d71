"""The catalogues hold the same texts in every language, and forms read as a Korean writes them."""

from __future__ import annotations

import re
import string

import pytest

from graphlab import language
from graphlab.errors import UserError
from graphlab.language.forms import Texts, particle
from graphlab.language.lists import first_of, listing


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
    words = {key: re.sub(r"{[^{}]*}", "", text) for key, text in english.items()}
    same = [k for k in korean if korean[k] == english[k] and re.search(r"[a-z] [a-z]", words[k])]
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
        ("h.clone()", "을", "을"),
        ("scale", "으로", "로"),
        ("p.data.clamp_()", "이", "가"),
        ("largest", "은", "는"),
        ("result", "을", "를"),
        ("flat", "을", "을(를)"),
        ("flat", "으로", "(으)로"),
    ],
)
def test_the_particle_follows_the_sound(name: str, kind: str, expected: str) -> None:
    assert particle(name, kind) == expected


def test_a_list_is_joined_as_the_text_says() -> None:
    text = Texts()
    assert text.format("{names:, | and }", names=["a"]) == "a"
    assert text.format("{names:, | and }", names=["a", "b", "c"]) == "a, b and c"
    assert text.format("{names:, |, }", names=["a", "b"]) == "a, b"


@pytest.mark.parametrize(
    ("names", "most", "english", "korean"),
    [
        ([], None, "", ""),
        (["a"], None, "a", "a"),
        (["a", "b", "c"], None, "a, b and c", "a, b, c"),
        (["a", "b", "c", "d"], 3, "a, b and 2 more", "a, b 외 2개"),
    ],
)
def test_names_are_listed(names: list[str], most: int | None, english: str, korean: str) -> None:
    listed = listing(names, most)
    assert listed == english
    assert in_korean(listed) == korean


def test_a_list_of_messages_is_told_whole() -> None:
    parts = [language.message("words.of_owner", owner=owner, count=2) for owner in ("D", "G")]
    listed = listing(parts)
    assert listed == "2 parameters of D and 2 parameters of G"
    assert in_korean(listed) == "D의 파라미터 2개, G의 파라미터 2개"
    assert first_of([parts[0], "x"]) == "2 parameters of D and 1 more"


def in_korean(text: str) -> str:
    before = language.current()
    try:
        language.choose("ko")
        return language.told(text)
    finally:
        language.choose(before)


def test_a_number_chooses_its_form() -> None:
    text = Texts()
    assert text.format("{n:# node|# nodes}", n=1) == "1 node"
    assert text.format("{n:# node|# nodes}", n=3000) == "3,000 nodes"


def test_a_list_without_a_form_is_written_as_python_does() -> None:
    assert Texts().format("{shape}", shape=[64, 1]) == "[64, 1]"


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
    assert in_korean(inner) == language.say_in("ko", "report.clear.no_backward") != inner
    assert in_korean("as it is") == "as it is"


def test_an_unknown_language_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="'xx'") as raised:
        language.choose("xx")
    assert "ko" in raised.value.help
