"""A Trace is plain data: it can be saved, read without torch, and read by an older version."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphlab.language import Message
from graphlab.rules.registry import find
from graphlab.trace import model
from graphlab.trace.model import Trace
from graphlab.trace.report import report
from graphlab.trace.store import SCHEMA, dumps, loads
from graphlab.views import console
from graphlab.views.terminal import report as terminal

PLAIN = (str, int, float, bool, type(None))
RUNS = [
    ("naive", "adam"), ("naive-fused", "adam-fused"), ("detach-as-printed", "sgd"),
    ("joint", "adam"), ("joint-as-printed", "adam"), ("detach", "sgd"),
]  # fmt: skip

# Positions among three tensors, three optimizers and at least three events, whatever a field's are.
st.register_type_strategy(int, st.integers(1, 2))
st.register_type_strategy(float, st.floats(0, 1))
TEXTS = st.text(st.characters(exclude_categories=[]))
TRACES = st.builds(
    Trace,
    tensors=st.tuples(*[st.from_type(model.TensorInfo)] * 3),
    optimizers=st.tuples(*[st.from_type(model.OptimizerInfo)] * 3),
    events=st.lists(st.from_type(model.Event), min_size=3, max_size=5).map(tuple),
    sources=st.dictionaries(TEXTS, st.sampled_from(["", "a = 1\n", "%%magic\n"]), max_size=2),
    unseen=st.lists(TEXTS, max_size=2).map(tuple),
)


def strict(text: str) -> Any:
    """Parse JSON as every other language does: NaN and Infinity are no numbers there."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(TRACES)
def test_any_trace_comes_back_as_it_was(trace: Trace) -> None:
    text = dumps(trace)
    assert strict(text)["schema"] == SCHEMA
    assert text.encode()
    assert loads(text) == trace


@pytest.mark.parametrize(("name", "optimizer"), RUNS)
def test_a_real_trace_comes_back_as_it_was_and_is_explained_alike(
    observe: Any, name: str, optimizer: str
) -> None:
    ran = observe(name, "--optimizer", optimizer)
    trace = loads(dumps(ran.trace))
    assert trace == ran.trace
    assert find(trace) == ran.findings
    strict(json.dumps(report(trace, find(trace))))


def test_every_kind_of_event_can_be_stored() -> None:
    import typing

    kinds = {each.__name__ for each in typing.get_args(model.Event)}
    assert kinds >= {"Write", "Module", "ZeroGrad", "Backward", "Step"}


def test_a_trace_holds_plain_values_only(observe: Any) -> None:
    seen = set()

    def look(value: Any) -> None:
        if dataclasses.is_dataclass(value):
            seen.add(type(value).__name__)
            for field in dataclasses.fields(value):
                look(getattr(value, field.name))
        elif isinstance(value, tuple | list):
            for each in value:
                look(each)
        elif isinstance(value, dict):
            for key, each in value.items():
                look(key)
                look(each)
        elif isinstance(value, Message):
            look(value.arguments)
        else:
            # Exactly these types: a subclass such as torch.Size or a Path would not come back.
            assert type(value) in PLAIN, value

    for name, optimizer in RUNS:
        look(observe(name, "--optimizer", optimizer).trace)
    assert seen >= {"Trace", "Backward", "Step", "Write", "Saved", "Mix", "Share", "Location"}


def test_a_trace_cannot_be_changed(observe: Any) -> None:
    trace = observe("detach").trace
    for each in (trace, trace.events[0], trace.tensors[0], trace.optimizers[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(each, dataclasses.fields(each)[0].name, None)
        with pytest.raises((AttributeError, TypeError)):
            each.something_else = 1
        assert not hasattr(each, "__dict__")


def test_reading_and_judging_a_trace_needs_no_torch(
    observe: Any, request: pytest.FixtureRequest
) -> None:
    """That nothing imports it: tests/cli/test_without_torch.py."""
    ran = observe("naive")
    saved = dumps(ran.trace)
    request.getfixturevalue("without_torch")
    trace = loads(saved)
    findings = find(trace)
    assert "optimizer_D.step()" in console.text(terminal.full(trace, findings, []))
    name = report(trace, findings)["findings"][0]["tensor"]["name"]
    assert name == ran.only.tensor.tensor.name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "null",
        "1",
        "{}",
        '{"schema": "graphlab.report/1"}',
        f'{{"schema": "{SCHEMA}"}}',
        f'{{"schema": "{SCHEMA}", "target": "a", "outcome": "completed", "environment": 5}}',
        f'{{"schema": "{SCHEMA}", "target": "a", "outcome": "completed", "environment": '
        '{"python": "3", "torch": "2", "device": "cpu", "seed": 0, "graphlab": "1"}, '
        '"events": [{"event": "Earthquake"}]}',
    ],
)
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_fields_of_a_newer_version_are_left_out(observe: Any) -> None:
    trace = observe("naive").trace
    data = json.loads(dumps(trace))
    data["weather"] = "fine"
    data["events"][0]["weather"] = "fine"
    data["environment"]["weather"] = {"event": "rain"}
    assert loads(json.dumps(data)) == trace


def test_numbers_that_json_lacks_do_not_reach_a_document(observe: Any, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import torch\n"
        "net = torch.nn.Linear(2, 1)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for factor in (1.0, float('inf'), 1e30, float('nan')):\n"
        "    optimizer.zero_grad()\n"
        "    one = net(torch.ones(1, 2)).sum()\n"
        "    one.backward()\n"
        "    two = (net(torch.ones(1, 2)) * factor).pow(2).sum()\n"
        "    two.backward()\n"
        "    optimizer.step()\n"
    )
    ran = observe(script)
    assert ran.exit_code == 0, ran.err
    strict(dumps(ran.trace))
    strict(json.dumps(report(ran.trace, ran.findings)))
