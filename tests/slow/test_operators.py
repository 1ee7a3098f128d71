"""Every operator of torch's own database gives the same watched and unwatched.

    GRAPHLAB_SLOW=1 pytest -n0 tests/slow

It takes some minutes and two cores, and needs ``expecttest``, which torch's database imports.
Skipped unless GRAPHLAB_SLOW=1. Its counts are printed whatever becomes of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab

MISSING = [name for name in ("expecttest", "numpy") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("GRAPHLAB_SLOW") != "1", reason="GRAPHLAB_SLOW=1 runs it"),
    pytest.mark.skipif(bool(MISSING), reason=f"torch's operator database needs {MISSING}"),
]

CHILD = Path(__file__).with_name("operators.py")
# So many of the differences are shown.
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one child printed: a record per operator, and what became of each case."""

    tried: dict[str, dict[str, Any]]
    left_out: dict[str, str]
    outcomes: dict[tuple[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Sweeps:
    plain: Sweep
    again: Sweep
    watched: Sweep


def sweep(how: str) -> Sweep:
    path = [str(Path(graphlab.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    changes = {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONHASHSEED": "0"}
    child = subprocess.run(
        [sys.executable, str(CHILD), how], env={**os.environ, **changes},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-4000:]
    found = Sweep({}, {}, {})
    lines = child.stdout.splitlines()
    for record in map(json.loads, lines):
        name = record["op"]
        if "case" in record:
            found.outcomes[name, record["case"]] = record["outcome"]
        elif "left_out" in record:
            found.left_out[name] = record["left_out"]
        else:
            found.tried[name] = record
    # No name stands for two.
    assert len(found.tried) + len(found.left_out) + len(found.outcomes) == len(lines)
    return found


@pytest.fixture(scope="module")
def sweeps() -> Sweeps:
    """Both plain runs together take less time than the watched one."""
    with ThreadPoolExecutor(2) as pool:
        watched = pool.submit(sweep, "watched")
        plain, again = pool.submit(sweep, "plain"), pool.submit(sweep, "plain")
        return Sweeps(plain.result(), again.result(), watched.result())


def differences(one: Sweep, other: Sweep) -> list[str]:
    """The cases that came out differently, and in what."""
    assert one.left_out == other.left_out
    assert one.outcomes.keys() == other.outcomes.keys()
    found = []
    for (name, case), first in one.outcomes.items():
        second = other.outcomes[name, case]
        changed = [
            f"{key} {was} became {second[key]}" for key, was in first.items() if was != second[key]
        ]
        if changed:
            found.append(f"{name}, {case}: {'; '.join(changed)}")
    return found


def shown(found: list[str]) -> str:
    return "\n".join([f"{len(found)} in all", *(each[:600] for each in found[:SHOWN])])


def test_the_sweep_itself_is_repeatable(sweeps: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    """Plain against plain: an operator that differs here could prove nothing about watching."""
    plain, watched = sweeps.plain, sweeps.watched
    in_place = sum(record["in_place"] for record in plain.tried.values())
    alike = sum(
        outcome["raised"] is not None and outcome["raised"] == watched.outcomes[case]["raised"]
        for case, outcome in plain.outcomes.items()
    )
    with capsys.disabled():
        print(f"\ntorch {torch.__version__}: {len(plain.tried)} operators")
        print(f"  with an in-place variant: {in_place}")
        for why, count in Counter(plain.left_out.values()).items():
            print(f"  left out, {why}: {count}")
        print(f"  cases: {len(plain.outcomes)}")
        print(f"  raise alike: {alike}")
        print(f"  differ, plain from plain: {len(differences(plain, sweeps.again))}")
        print(f"  differ, watched from plain: {len(differences(plain, watched))}")
    assert len(plain.tried) > 500 and len(plain.outcomes) > 10_000
    found = differences(plain, sweeps.again)
    assert not found, shown(found)


def test_every_operator_is_the_same_watched_and_unwatched(sweeps: Sweeps) -> None:
    found = differences(sweeps.plain, sweeps.watched)
    assert not found, shown(found)


def test_every_operator_was_watched_without_a_failure(sweeps: Sweeps) -> None:
    """The observer turns its own failures into notices, and a blind one would change nothing."""
    tried = sweeps.watched.tried
    assert [name for name, record in tried.items() if not record["events"]] == []
    found = [f"{name}: {each}" for name, record in tried.items() for each in record["notices"]]
    assert not found, shown(found)
