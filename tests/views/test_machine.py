"""Findings for machines: annotations, lines that problem matchers read, and SARIF."""

from __future__ import annotations

import json
import re

import pytest

from graphlab.rules.registry import find
from graphlab.trace.finding import Finding, Place
from graphlab.trace.model import Location
from graphlab.views.machine import lines
from graphlab.views.machine.sarif import sarif
from tests.rules.cases import ALL, SPEAKING, Case

speaking = pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")

AT = Location("/home/me/a,b:c.py", 3, 5, 3, 12, "train", "x.step()")
ODD = Finding("GL001", "a-name", "info", "50% of x\nis: this, or that", failed=Place(AT, "x"))


def test_annotations_are_escaped_as_github_asks() -> None:
    (line,) = lines.render([ODD], "github", "/home/me")
    assert line == (
        "::notice file=a%2Cb%3Ac.py,line=3,col=5,endColumn=12,title=GL001 a-name"
        "::50%25 of x\\nis: this, or that."
    )


def test_files_outside_the_folder_keep_their_path() -> None:
    (line,) = lines.render([ODD], "lines", "/home/m")
    assert line == "/home/me/a,b:c.py:3:5: info: GL001: 50% of x\\nis: this, or that."


def test_a_finding_without_a_place_is_still_told() -> None:
    nowhere = Finding("GL001", "a-name", "error", "bad")
    assert lines.render([nowhere], "github", "/") == ["::error title=GL001 a-name::bad."]
    assert lines.render([nowhere], "lines", "/") == ["error: GL001: bad."]


@speaking
def test_every_finding_is_one_line(case: Case) -> None:
    findings = find(case.trace())
    for form, shape in (
        ("github", r"::(error|warning|notice) [^\n:]*title=GL\d{3} [\w-]+::[^\n]+"),
        ("lines", r"([^\n:]+:\d+:\d+: )?(error|warning|info): GL\d{3}: [^\n]+"),
    ):
        told = lines.render(findings, form, "/")
        assert len(told) == len(findings)
        assert all(re.match(rf"{shape}\Z", each) for each in told), told


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_sarif_has_what_its_schema_requires(case: Case) -> None:
    trace = case.trace()
    findings = find(trace)
    document = json.loads(json.dumps(sarif(trace, findings, "/")))
    assert document["version"] == "2.1.0" and document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "graphlab"
    assert len({each["id"] for each in driver["rules"]}) == len(driver["rules"])
    assert len(run["results"]) == len(findings)
    for result, finding in zip(run["results"], findings, strict=True):
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == finding.code
        assert result["level"] in ("error", "warning", "note") and result["message"]["text"]
        places = result.get("locations", []) + result.get("relatedLocations", [])
        for place in places:
            physical = place["physicalLocation"]
            assert physical["artifactLocation"]["uri"]
            region = physical["region"]
            assert 1 <= region["startLine"] <= region["endLine"]
            assert region["startColumn"] >= 1
        related = [each["id"] for each in result.get("relatedLocations", [])]
        assert related == sorted(set(related))
        assert all(each["message"]["text"] for each in result.get("relatedLocations", []))
