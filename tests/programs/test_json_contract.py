"""The JSON document of a run, field by field, as other programs may rely on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab
from graphlab import catalogue
from graphlab.rules.registry import RULES
from graphlab.trace.report import report

NUMBER = (int, float)
MAYBE_TEXT = (str, type(None))
MAYBE_INT = (int, type(None))
MAYBE_DICT = (dict, type(None))

DOCUMENT = {
    "schema": str, "target": str, "outcome": str, "environment": dict, "exception": MAYBE_DICT,
    "findings": list, "optimizers": list,
}  # fmt: skip
ENVIRONMENT = {"python": str, "torch": str, "device": str, "seed": MAYBE_INT, "graphlab": str}
FINDING = {
    "code": str, "name": str, "severity": str, "summary": str, "iteration": MAYBE_INT,
    "tensor": MAYBE_DICT, "saved": MAYBE_DICT, "mutated": MAYBE_DICT, "freed": MAYBE_DICT,
    "failed": MAYBE_DICT, "cause": MAYBE_DICT, "related": list, "help": list,
}  # fmt: skip
LOCATION = {"file": str, "line": int, "column": int, "function": str, "code": str}
TENSOR = {
    "name": MAYBE_TEXT, "kind": str, "shape": list, "dtype": str, "saved_version": MAYBE_INT,
    "current_version": MAYBE_INT,
}  # fmt: skip
PLACES = {
    "saved": {"operation": str, "module": MAYBE_TEXT},
    "mutated": {"by": str},
    "freed": {"by": str},
    "failed": {"call": str},
    "cause": {"by": str},
}
RELATED = {"tensor": dict, "saved": dict, "mutated": MAYBE_DICT}
HELP = {"text": str, "before": str, "after": str}
OPTIMIZER = {
    "name": str, "class": str, "steps": int, "location": dict, "owns": list, "touched": list,
    "untouched": list, "gradients_from": dict,
}  # fmt: skip
SHARE = {
    "line": MAYBE_INT, "parameters": int, "norm": NUMBER, "share": NUMBER,
    "cosine_to_total": (*NUMBER, type(None)),
}  # fmt: skip
RUNS = [
    ("naive", "adam"), ("naive", "adam-fused"), ("naive", "sgd"), ("detach-as-printed", "adam"),
    ("joint-as-printed", "sgd"), ("recompute-as-printed", "adam"), ("joint", "adam"),
    ("joint-isolated", "adam"), ("detach", "sgd"),
]  # fmt: skip


def has(value: dict[str, Any], fields: dict[str, Any]) -> None:
    """All fields there, each of its type; more may be there, none may lack."""
    for name, kinds in fields.items():
        assert name in value
        assert isinstance(value[name], kinds), (name, value[name])
        # To Python True is an int; to a reader of JSON it is not.
        assert not isinstance(value[name], bool), name


def is_location(value: dict[str, Any]) -> None:
    has(value, LOCATION)
    lines = Path(value["file"]).read_text(encoding="utf-8").splitlines()
    assert lines[value["line"] - 1].strip() == value["code"]
    assert 1 <= value["column"] <= len(lines[value["line"] - 1])


def is_finding(value: dict[str, Any]) -> None:
    has(value, FINDING)
    code = next(each for each in RULES if each.code == value["code"])
    assert (value["name"], value["severity"]) == (code.name, code.severity)
    for name, more in PLACES.items():
        if value[name] is not None:
            is_location(value[name])
            has(value[name], more)
    tensors = [value["tensor"]]
    for related in value["related"]:
        has(related, RELATED)
        tensors.append(related["tensor"])
        is_location(related["saved"])
        has(related["saved"], PLACES["saved"])
        if related["mutated"] is not None:
            is_location(related["mutated"])
            has(related["mutated"], PLACES["mutated"])
    for tensor in tensors:
        if tensor is not None:
            has(tensor, TENSOR)
            assert tensor["kind"] in ("parameter", "buffer", "activation", "input")
            assert all(type(size) is int for size in tensor["shape"])
    assert value["help"]
    for help in value["help"]:
        has(help, HELP)


def is_document(value: dict[str, Any]) -> None:
    has(value, DOCUMENT)
    assert value["schema"] == "graphlab.report/1"
    assert value["outcome"] in ("completed", "raised", "interrupted")
    has(value["environment"], ENVIRONMENT)
    assert value["environment"]["torch"] == torch.__version__
    assert value["environment"]["graphlab"] == graphlab.__version__
    assert (value["exception"] is not None) == (value["outcome"] != "completed")
    if value["exception"] is not None:
        has(value["exception"], {"type": str, "message": str})
    for finding in value["findings"]:
        is_finding(finding)
    for optimizer in value["optimizers"]:
        has(optimizer, OPTIMIZER)
        is_location(optimizer["location"])
        names = [*optimizer["owns"], *optimizer["touched"]]
        assert all(isinstance(name, str) for name in names)
        for left in optimizer["untouched"]:
            has(left, {"name": str, "why": str})
        for loss, share in optimizer["gradients_from"].items():
            assert isinstance(loss, str)
            has(share, SHARE)
            assert 0 <= share["share"] <= 1
            assert share["cosine_to_total"] is None or -1 <= share["cosine_to_total"] <= 1


@pytest.mark.parametrize(("name", "optimizer"), RUNS)
def test_a_report_keeps_the_contract(observe: Any, name: str, optimizer: str) -> None:
    ran = observe(name, "--optimizer", optimizer)
    document = json.loads(json.dumps(report(ran.trace, ran.findings), allow_nan=False))
    is_document(document)
    expected = catalogue.scenario(name).expected(optimizer)
    assert expected is not None
    told = [each["code"] for each in document["findings"] if each["severity"] != "info"]
    assert told == ([expected.code] if expected.code else [])
    assert document["environment"]["seed"] == 0


def test_naive_through_the_command_is_the_contract_to_the_letter(
    command: Any, line_in: Any, tmp_path: Path
) -> None:
    path = catalogue.scenario("naive").path
    done = command("run", "naive", "--json", "report.json", "--device", "cpu")
    assert done.returncode == 1
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    is_document(document)
    assert document["target"] == "naive"
    assert document["outcome"] == "raised"
    assert document["exception"]["type"] == "RuntimeError"
    assert "modified by an inplace operation" in document["exception"]["message"]
    # The message under which the program died is the one in the document.
    assert document["exception"]["message"] in done.stderr
    finding, info = document["findings"]
    assert (info["code"], info["severity"]) == ("GL108", "info")

    def place(code: str, start: str, **more: Any) -> dict[str, Any]:
        number = line_in(path, code)
        line = path.read_text(encoding="utf-8").splitlines()[number - 1]
        return {
            "file": str(path), "line": number, "column": line.index(start) + 1,
            "function": "<module>", "code": code, **more,
        }  # fmt: skip

    def part(value: dict[str, Any], like: dict[str, Any]) -> dict[str, Any]:
        return {key: value[key] for key in like}

    step = place("optimizer_D.step()", "optimizer_D", by="optimizer_D.step()")
    backward = place("G_loss_.backward()", "G_loss_", call="G_loss_.backward()")
    forward = place(
        "gene_logit = D(gene_img)", "D(gene_img)", operation="AddmmBackward0", module="D.4"
    )
    assert (finding["code"], finding["severity"]) == ("GL001", "error")
    assert finding["iteration"] == 0
    assert part(finding["saved"], forward) == forward
    assert part(finding["mutated"], step) == step
    assert part(finding["failed"], backward) == backward
    assert finding["freed"] is None
    assert finding["cause"] is None
    assert part(finding["tensor"], TENSOR) == {
        "name": "D.4.weight", "kind": "parameter", "shape": [1, 64], "dtype": "float32",
        "saved_version": 1, "current_version": 2,
    }  # fmt: skip
    related = {(each["tensor"]["name"], each["saved"]["line"]) for each in finding["related"]}
    real, gene = line_in(path, "real_logit = D(img)"), forward["line"]
    assert related == {
        ("D.4.weight", real), ("D.2.weight", real), ("D.2.weight", gene), ("D.0.weight", gene)
    }  # fmt: skip
    assert len(finding["related"]) == 4
    assert all(each["mutated"]["by"] == "optimizer_D.step()" for each in finding["related"])
    ledger = {each["name"]: each for each in document["optimizers"]}
    assert list(ledger) == ["optimizer_D", "optimizer_G"]
    names = [f"D.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    assert ledger["optimizer_D"]["owns"] == names
    assert sorted(ledger["optimizer_D"]["touched"]) == sorted(names)
    assert (ledger["optimizer_D"]["class"], ledger["optimizer_D"]["steps"]) == ("Adam", 1)
    (share,) = ledger["optimizer_D"]["gradients_from"].values()
    assert list(ledger["optimizer_D"]["gradients_from"]) == ["D_loss_"]
    assert share["line"] == line_in(path, "D_loss_.backward(retain_graph=True)")
    assert (share["parameters"], share["share"]) == (6, 1.0)
    assert ledger["optimizer_G"]["touched"] == []
    assert ledger["optimizer_G"]["steps"] == 0


def test_a_dash_writes_the_document_and_nothing_else_to_stdout(command: Any) -> None:
    done = command("run", "joint", "--steps", "8", "--device", "cpu", "--json", "-")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    is_document(document)
    assert document["findings"][0]["code"] == "GL101"
    # The report for people is still there, beside it.
    assert "warning[GL101]" in done.stderr


@pytest.mark.parametrize(
    ("ending", "outcome", "code"),
    [
        ("", "completed", 0),
        ("raise ValueError('x')", "raised", 1),
        ("sys.exit(3)", "completed", 3),
        ("raise KeyboardInterrupt", "interrupted", 130),
    ],
)
def test_the_outcome_of_every_ending(
    observe: Any, tmp_path: Path, ending: str, outcome: str, code: int
) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import sys, torch\ntorch.ones(2).add_(1)\n{ending}\n")
    ran = observe(script)
    document = report(ran.trace, ran.findings)
    assert (document["outcome"], ran.exit_code) == (outcome, code)
    assert (
        document["exception"]
        == {
            "completed": None,
            "raised": {"type": "ValueError", "message": "x", "iteration": None},
            "interrupted": {"type": "KeyboardInterrupt", "message": "", "iteration": None},
        }[outcome]
    )
