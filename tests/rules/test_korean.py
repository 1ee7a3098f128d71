"""What the rules say of every saved Trace, in Korean: no sentence is left in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from graphlab import language
from graphlab.language import Message, told
from graphlab.rules.registry import RULES, find
from graphlab.trace.finding import Finding
from graphlab.trace.ranks.sightings import Parted, WithoutGradient
from tests.rules.cases import SPEAKING, Case
from tests.rules.test_ranks import CLIP, LOOP, rank_step
from tests.rules.test_ranks import found as ranks_found

# Rules whose texts are still English sentences. This set must only shrink.
ENGLISH: set[str] = set()
HANGUL = re.compile("[가-힣]")
STOP = re.compile(r" (?:the|is|are|was|were|and|of|in|to|it|that) ")


@pytest.fixture(autouse=True)
def korean() -> Iterator[None]:
    before = language.current()
    language.choose("ko")
    yield
    language.choose(before)


def sentences(finding: Finding) -> list[str]:
    return [finding.summary, *(each.text for each in finding.help), *finding.notes]


def phrases(finding: Finding) -> list[str]:
    roles = (finding.saved, finding.mutated, finding.freed, finding.failed, finding.cause)
    return [place.what for place in roles if place is not None]


def plain_arguments(text: str, where: tuple[str, str]) -> Iterator[tuple[tuple[str, str], str]]:
    """The arguments of a message that are no messages, each with the key and name it stands at."""
    if not isinstance(text, Message):
        yield where, text
        return
    for name, value in text.arguments.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                yield from plain_arguments(each, (text.key, name))


def is_korean(finding: Finding) -> None:
    for text in sentences(finding):
        assert isinstance(text, Message), text
        assert HANGUL.search(told(text)), text
    for text in (*sentences(finding), *phrases(finding)):
        for where, argument in plain_arguments(text, ("", "")):
            assert not STOP.search(f" {argument} "), (where, argument)


@pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
def test_a_finding_is_told_in_korean(case: Case) -> None:
    for finding in find(case.trace()):
        if finding.code not in ENGLISH:
            is_korean(finding)


@pytest.mark.parametrize(
    "other",
    [
        {"fresh": ("x", "y"), "gradients": ("x", "y")},
        {"writes": (CLIP,), "gradients": ("x", "y")},
        {"rates": ("0.2",)},
        {"settings": ("momentum=0.9",)},
        {"values": ("x", "b")},
    ],
    ids=lambda other: "-".join(other),
)
def test_what_differs_between_ranks_is_told_in_korean(other: dict[str, Any]) -> None:
    (finding,) = ranks_found(rank_step(), rank_step(**other))
    is_korean(finding)


@pytest.mark.parametrize("overwrote", [True, False])
def test_a_collective_is_told_in_korean(overwrote: bool) -> None:
    at = LOOP.at("loss.backward()")
    seen = WithoutGradient(
        at, "dist.all_reduce()", "all_reduce", "", overwrote, at, "loss.backward()", at
    )
    (finding,) = find(LOOP.trace(sightings=(seen,)))
    is_korean(finding)


@pytest.mark.parametrize("how", ["loop", "left", "call", "sizes", "pair", "crossed"])
def test_ranks_that_part_are_told_in_korean(how: Any) -> None:
    at = LOOP.at("for x in batches:")
    seen = Parted(at, how, "all_reduce", at, (0, 1), ("4", "5"))
    (finding,) = find(LOOP.trace(sightings=(seen,)))
    assert "랭크 0, 1" in told(finding.summary)
    is_korean(finding)


@pytest.mark.parametrize("key", sorted(language.catalogue("ko")))
def test_a_korean_text_holds_no_english_sentence(key: str) -> None:
    text = re.sub(r"`[^`]*`|{[^{}]*}", "", language.catalogue("ko")[key])
    assert not STOP.search(f" {text} ")


def test_the_rules_left_in_english_exist() -> None:
    assert {rule.code for rule in RULES} >= ENGLISH
