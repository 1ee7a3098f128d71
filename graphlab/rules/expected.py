"""Compares what a run found with the expectation in its script's header."""

from __future__ import annotations

from graphlab.catalogue import Expectation
from graphlab.language import message
from graphlab.trace.finding import Finding


def mismatch(expected: Expectation, findings: list[Finding]) -> str | None:
    """What is wrong, or None. Infos never count; any other finding must be the expected one. What
    was expected and found is told in a header's own words, in every language."""
    counted = [finding for finding in findings if finding.severity != "info"]
    seen = ", ".join(_describe(finding) for finding in counted) or "clean"
    if expected.code is None:
        return _said(expected, seen) if counted else None
    if any(finding.code != expected.code for finding in counted):
        return _said(expected, seen)
    for finding in counted:
        call = finding.failed.what if finding.failed is not None else None
        right = call == expected.call and expected.iteration in (None, finding.iteration)
        if right:
            return None
    return _said(expected, seen)


def _said(expected: Expectation, seen: str) -> str:
    return message("words.unexpected", expected=str(expected), seen=seen)


def _describe(finding: Finding) -> str:
    at = f" at {finding.failed.what}" if finding.failed is not None else ""
    moment = f" in iteration {finding.iteration}" if finding.iteration is not None else ""
    return f"{finding.code}{at}{moment}"
