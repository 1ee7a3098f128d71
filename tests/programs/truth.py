"""A script of the corpus under observation, held against the truth that lies beside it."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.observe import program
from graphlab.rules.registry import find
from tests.alone import alone

CORPUS = Path(__file__).resolve().parent.parent / "corpus"


def observe(path: Path) -> tuple[Any, list[Any]]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alone():
        ran = program.run(program.script(str(path)), [], path.stem)
    return ran.trace, find(ran.trace)


def line_of(place: Any) -> int | None:
    return place.at.line if place is not None and place.at is not None else None


def accepted(truth: dict[str, Any], key: str) -> list[Any] | None:
    """The answers that count as right; None where the field is not judged."""
    several = truth.get(f"{key}_any_of")
    one = truth.get(key)
    if not several:
        return [one] if one is not None else None
    # A list without a main answer: what the finding says, if anything, must be in it.
    return [*several, one]


def hold(path: Path) -> None:
    """Fail unless all that is told of the script at `path` is true."""
    truth = json.loads(path.with_suffix(".json").read_text())
    below = truth.get("torch_below")
    if below is not None and torch.__version__ >= below:
        pytest.skip(f"torch {below} and later can do what the script asks for")
    trace, findings = observe(path)
    assert trace.unseen == ()
    assert trace.outcome == truth["outcome"]
    told = [finding for finding in findings if finding.severity != "info"]
    codes = [finding.code for finding in told]
    if truth["code"] is None:
        assert codes == [], [finding.summary for finding in told]
        return
    assert set(codes) == {truth["code"]}, [finding.summary for finding in told]
    finding = told[0]
    got = {
        "tensor": finding.tensor.tensor.name if finding.tensor is not None else None,
        "saved": line_of(finding.saved),
        "mutated": line_of(finding.mutated),
        "freed": line_of(finding.freed),
        "failed": line_of(finding.failed),
        "cause": line_of(finding.cause),
    }
    for key, value in got.items():
        right = accepted(truth, key)
        if right is not None:
            assert value in right, f"{key}: {value} not in {right}; all: {got}"
    by = truth.get("mutated_by")
    if by:
        assert finding.mutated is not None and by in finding.mutated.what
