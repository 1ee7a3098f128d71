"""Every rule on a saved Trace that must make it speak, and on one that looks alike and must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.rules.registry import RULES, find
from graphlab.trace.finding import Finding, Place
from tests.rules.cases import ALL, SILENT, SPEAKING, TRACES, Case, table

# What a reviewer still reads.
LARGEST = 16_000


def line(place: Place | None) -> int | None:
    return place.at.line if place is not None and place.at is not None else None


def grave(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings if finding.severity != "info"]


@pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
def test_it_speaks(case: Case) -> None:
    findings = find(case.trace())
    (finding,) = [each for each in findings if each.code == case.code]
    assert finding.severity == case.severity
    tensor = finding.tensor.tensor.name if finding.tensor is not None else None
    assert tensor == case.tensor
    got = {
        "saved": line(finding.saved),
        "mutated": line(finding.mutated),
        "freed": line(finding.freed),
        "failed": line(finding.failed),
        "cause": line(finding.cause),
    }
    assert got == {role: getattr(case, role) for role in got}
    assert grave(findings) == ([case.code] if case.severity != "info" else [])


@pytest.mark.parametrize("case", SILENT, ids=lambda case: f"{case.code}-{case.name}")
def test_what_looks_alike_is_left_alone(case: Case) -> None:
    findings = find(case.trace())
    assert grave(findings) == []
    assert case.code not in {finding.code for finding in findings}


def test_every_rule_has_both() -> None:
    # Those of several ranks have their tests in test_ranks.py.
    codes = {rule.code for rule in RULES if rule.code < "GL300"}
    assert {case.code for case in SPEAKING} == codes
    assert {case.code for case in SILENT} == codes


def test_every_trace_has_a_case_and_can_be_read() -> None:
    files = {path.stem: path for path in TRACES.iterdir()}
    assert files.keys() == {case.name for case in ALL}
    for path in files.values():
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < LARGEST, path.name
        # A path of the machine that made it would be no use on any other.
        assert '"/' not in text, path.name


def test_the_table_in_the_readme_is_this_one() -> None:
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    assert [each for each in readme.splitlines() if each.startswith("| GL")] == table()
