"""Repairs are worked out from the source that the Trace carries, whatever the disk holds."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from graphlab.rules.registry import find
from graphlab.trace.finding import Finding, Help
from tests.rules.cases import SPEAKING, Case

every = pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
Apply = Callable[[Help, str], str]


def judged(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.summary) for finding in findings]


@every
def test_a_repair_is_of_the_text_that_stands_there(case: Case, applied: Apply) -> None:
    trace = case.trace()
    source = trace.sources[f"{case.name}.py"]
    for finding in find(trace):
        for help in finding.help:
            assert help.text
            if help.before or help.after:
                assert help.file == f"{case.name}.py"
                ast.parse(applied(help, source))


def test_most_rules_show_an_edit() -> None:
    edited = {
        finding.code
        for case in SPEAKING
        for finding in find(case.trace())
        if any(help.after for help in finding.help)
    }
    assert edited >= {"GL001", "GL002", "GL003", "GL004", "GL007", "GL101", "GL102", "GL106"}


@every
def test_what_the_disk_holds_now_does_not_matter(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find(case.trace())
    monkeypatch.chdir(tmp_path)
    Path(f"{case.name}.py").write_text("changed since\n", encoding="utf-8")
    known = dict(linecache.cache)
    assert find(case.trace()) == before
    assert linecache.cache == known


@every
@pytest.mark.parametrize("source", ["", "def half(:\n"], ids=["gone", "no-python"])
def test_without_a_source_the_finding_stays_and_words_must_do(case: Case, source: str) -> None:
    trace = case.trace()
    sources = {name: source for name in trace.sources} if source else {}
    findings = find(replace(trace, sources=sources))
    assert judged(findings) == judged(find(trace))
    for finding in findings:
        assert finding.help
        assert all(help.text and not help.before and not help.after for help in finding.help)
