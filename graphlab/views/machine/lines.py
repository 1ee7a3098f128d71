"""Findings as lines that machines read: GitHub's annotations, and what problem matchers match."""

from __future__ import annotations

import os

from graphlab.text import one_line
from graphlab.trace.finding import Finding
from graphlab.trace.model import Location

FORMATS = ("text", "github", "lines")
_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
_ESCAPES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTIES = {**_ESCAPES, ":": "%3A", ",": "%2C"}


def place_of(finding: Finding) -> Location | None:
    """Where it took effect; else where the program was brought to it."""
    places = (finding.failed, finding.cause, finding.mutated, finding.freed, finding.saved)
    return next((each.at for each in places if each is not None and each.at is not None), None)


def relative(file: str, root: str) -> str:
    """`file` as seen from the folder `root`, if it is in it."""
    inside = os.path.isabs(file) and file.startswith(os.path.join(root, ""))
    return os.path.relpath(file, root) if inside else file


def message(finding: Finding) -> str:
    """What is wrong, and the first thing to do about it."""
    helped = f" Help: {finding.help[0].text}" if finding.help else ""
    return one_line(f"{finding.summary}.{helped}")


def render(findings: list[Finding], form: str, root: str) -> list[str]:
    """One line for each finding, in one of `FORMATS` but text; files are given from `root`."""
    one = _github if form == "github" else _line
    return [one(each, root) for each in findings]


def _github(finding: Finding, root: str) -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflow-commands."""
    properties: dict[str, str] = {}
    at = place_of(finding)
    if at is not None:
        properties = {"file": relative(at.file, root), "line": str(at.line)}
        if at.end_line == at.line:
            properties |= {"col": str(at.column), "endColumn": str(at.end_column)}
    properties["title"] = f"{finding.code} {finding.name}"
    told = ",".join(f"{key}={_escaped(v, _IN_PROPERTIES)}" for key, v in properties.items())
    return f"::{_COMMANDS[finding.severity]} {told}::{_escaped(message(finding), _ESCAPES)}"


def _line(finding: Finding, root: str) -> str:
    """``file:line:column: severity: code: message``, as compilers write it."""
    at = place_of(finding)
    where = f"{one_line(relative(at.file, root))}:{at.line}:{at.column}: " if at is not None else ""
    return f"{where}{finding.severity}: {finding.code}: {message(finding)}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(each, each) for each in text)
