"""The report as JSON: every field of the contract, whatever the Trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graphlab.language import say_in
from graphlab.rules.registry import find
from graphlab.trace.model import ParameterMix, Share
from graphlab.trace.report import report
from tests.rules.build import Script, optimizer, parameter
from tests.rules.cases import ALL, SPEAKING, Case

DOCUMENT = {"schema", "target", "outcome", "environment", "exception", "findings", "optimizers"}
FINDING = {
    "code", "name", "severity", "summary", "iteration", "tensor", "saved", "mutated", "freed",
    "failed", "cause", "related", "help",
}  # fmt: skip
LOCATION = {"file", "line", "column", "function", "code"}
PLACES = {"saved": "operation", "mutated": "by", "freed": "by", "failed": "call", "cause": "by"}
TENSOR = {"name", "kind", "shape", "dtype", "saved_version", "current_version"}
OPTIMIZER = {
    "name", "class", "steps", "location", "owns", "touched", "untouched", "gradients_from",
}  # fmt: skip
SHARE = {"line", "parameters", "norm", "share", "cosine_to_total"}


def document(case: Case) -> dict[str, Any]:
    """The report as another language would read it: no NaN, no Infinity."""
    trace = case.trace()
    text = json.dumps(report(trace, find(trace)), allow_nan=False)
    return json.loads(text)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_no_field_is_missing(case: Case) -> None:
    whole = document(case)
    assert whole.keys() >= DOCUMENT
    assert whole["schema"] == "graphlab.report/1"
    for finding in whole["findings"]:
        assert finding.keys() >= FINDING
        assert finding["tensor"] is None or finding["tensor"].keys() >= TENSOR
        for role, word in PLACES.items():
            assert finding[role] is None or finding[role].keys() >= {*LOCATION, word}
        for related in finding["related"]:
            assert related.keys() >= {"tensor", "saved", "mutated"}
        for help in finding["help"]:
            assert help.keys() >= {"text", "before", "after"}
    for each in whole["optimizers"]:
        assert each.keys() >= OPTIMIZER
        assert all(share.keys() >= SHARE for share in each["gradients_from"].values())


@pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
def test_a_summary_can_be_told_from_its_key_and_arguments(case: Case) -> None:
    def told(key: str, arguments: dict[str, Any]) -> str:
        return say_in("en", key, **{name: plain(value) for name, value in arguments.items()})

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return told(**value) if isinstance(value, dict) else value

    for finding in document(case)["findings"]:
        told_again = told(finding["summary_key"], finding["summary_arguments"])
        assert told_again == finding["summary"]


@pytest.mark.parametrize("case", SPEAKING, ids=lambda case: f"{case.code}-{case.name}")
def test_it_says_what_the_finding_says(case: Case) -> None:
    (finding,) = [each for each in document(case)["findings"] if each["code"] == case.code]
    assert finding["severity"] == case.severity
    assert (finding["tensor"] or {"name": None})["name"] == case.tensor
    lines = {role: finding[role] and finding[role]["line"] for role in PLACES}
    assert lines == {role: getattr(case, role) for role in PLACES}


def test_a_loss_is_told_apart_in_each_network_and_parameter() -> None:
    """Both networks have one parameter: the loss is all of D's gradient, of norm 3, and four of
    five parts of G's, which points the other way."""
    whole = (Share("loss", 1, 1, 3.0, 1.0, 1.0),)
    parts = (Share("loss", 1, 1, 4.0, 0.8, -1.0), Share("other", 2, 1, 1.0, 0.2, 1.0))
    script = Script(
        "",
        tensors=(parameter("D.weight"), parameter("G.weight")),
        optimizers=(
            optimizer(
                owns=(0, 1),
                shares=whole,
                by_parameter=(ParameterMix(0, 3.0, whole), ParameterMix(1, 3.0, parts)),
            ),
        ),
    )
    (told,) = report(script.trace(), [])["optimizers"]
    loss = told["gradients_from"]["loss"]
    assert loss["by_owner"] == {
        "D": {"norm": 3.0, "share": 1.0, "cosine_to_total": 1.0},
        "G": {"norm": 4.0, "share": 0.8, "cosine_to_total": -1.0},
    }
    assert loss["by_parameter"] == {
        "D.weight": {"norm": 3.0, "share": 1.0, "cosine_to_total": 1.0},
        "G.weight": {"norm": 4.0, "share": 0.8, "cosine_to_total": -1.0},
    }
