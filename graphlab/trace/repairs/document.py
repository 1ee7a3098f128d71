"""The JSON document of graphlab fix (graphlab.fix/1): fields may be added, never renamed."""

from __future__ import annotations

from typing import Any

from graphlab.trace.repairs.model import Candidate, Repairs
from graphlab.trace.report import finding_document

SCHEMA = "graphlab.fix/1"


def document(repairs: Repairs) -> dict[str, Any]:
    """The whole document, ready for `json.dumps`."""
    return {
        "schema": SCHEMA,
        "target": repairs.target,
        "findings": [finding_document(each) for each in repairs.findings],
        "candidates": [_candidate(each) for each in repairs.candidates],
        "chosen": repairs.chosen,
        "applied": repairs.applied,
        "failure": repairs.failure or None,
        "exit_code": repairs.exit_code,
        "left_after": repairs.left_after,
    }


def _candidate(each: Candidate) -> dict[str, Any]:
    return {
        "text": each.text,
        "diff": each.diff,
        "edits": [
            {"file": edit.file, "line": edit.line, "before": edit.before, "after": edit.after}
            for edit in each.edits
        ],
        "verdict": each.verdict,
        "checks": [
            {"name": check.name, "holds": check.holds, "detail": check.detail}
            for check in each.checks
        ],
        "cost": {
            "forwards": each.cost.forwards,
            "backwards": each.cost.backwards,
            "saved_bytes": each.cost.saved_bytes,
        },
    }
