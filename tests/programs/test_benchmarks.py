"""The loops of benchmarks/overhead.py: correct programs, and how they are measured."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import graphlab
from graphlab.trace.model import Backward

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmarks():
    names = ("counters", "loops", "busy_loops", "overhead")
    sys.path.insert(0, str(FOLDER))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


LOOPS = [
    "tiny", "dcgan", "transformer", "lstm", "gnn", "gpt", "ppo", "pyrl", "pydata", "pysearch",
    "parameters_1000", "listed_1000", "parameters_5000", "modules_1000",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_followed_and_clean(benchmarks, name):
    make = getattr(benchmarks.loops, name, None) or getattr(benchmarks.busy_loops, name)
    # The replay buffer of the DQN holds a batch from its eighth iteration on.
    count = 10 if name == "pyrl" else 2
    with graphlab.watch() as session:
        make()(range(count))
    calls = [event for event in session.trace.events if isinstance(event, Backward)]
    assert {Path(call.at.file).parent for call in calls} == {FOLDER}
    assert {call.at.code for call in calls} <= {
        "loss.backward()",
        "D_loss.backward()",
        "G_loss.backward()",
    }
    assert [each.code for each in session.findings if each.severity != "info"] == []


def test_all_loops_are_measured(benchmarks):
    assert list(benchmarks.overhead.LENGTHS) == LOOPS


def test_a_session_is_read_at_the_ends_of_its_stretches(benchmarks):
    seen = []

    class Counting:
        def read(self):
            return {"cpu": float(len(seen))}

    def make():
        return seen.extend

    lengths = benchmarks.overhead.Lengths(3, 4, 5)
    costs = benchmarks.overhead.one_run(make, lengths, "bare", Counting())
    assert costs == {"first": {"cpu": 3.0}, "settled": {"cpu": 5.0}}


def test_every_counter_grows_with_work_or_says_why_it_is_missing(benchmarks):
    counters = benchmarks.counters.Counters()
    before = counters.read()
    sum(range(300_000))
    after = counters.read()
    assert after["cpu"] > before["cpu"]
    if counters.why:
        assert after.keys() == {"cpu"}
    else:
        assert after["instructions"] - before["instructions"] > 300_000
