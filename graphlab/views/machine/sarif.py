"""Findings as SARIF 2.1.0, which code scanning reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphlab.trace.finding import Finding
from graphlab.trace.model import Location, Trace
from graphlab.views.machine.lines import message, place_of, relative

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(trace: Trace, findings: list[Finding], root: str) -> dict[str, Any]:
    """The whole document, ready for `json.dumps`; files in the folder `root` are given from it."""
    rules = list({each.code: each for each in findings}.values())
    at = {each.code: index for index, each in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "graphlab",
                        "version": trace.environment.graphlab,
                        "rules": [{"id": each.code, "name": each.name} for each in rules],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, at[each.code], root) for each in findings],
            }
        ],
    }


def _result(finding: Finding, rule: int, root: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": message(finding)},
    }
    place = place_of(finding)
    if place is not None:
        made["locations"] = [{"physicalLocation": _physical(place, root)}]
    others = [
        (each.at, each.what)
        for each in (finding.saved, finding.mutated, finding.freed, finding.cause)
        if each is not None and each.at is not None and each.at != place
    ]
    if others:
        made["relatedLocations"] = [
            {"id": index, "physicalLocation": _physical(at, root), "message": {"text": what}}
            for index, (at, what) in enumerate(others)
        ]
    return made


def _physical(at: Location, root: str) -> dict[str, Any]:
    file = relative(at.file, root)
    path = Path(file)
    return {
        "artifactLocation": {"uri": path.as_uri() if path.is_absolute() else path.as_posix()},
        "region": {
            "startLine": at.line,
            "startColumn": at.column,
            "endLine": at.end_line,
            "endColumn": at.end_column,
        },
    }
