"""What is watched runs as it would unwatched: all of torch's modules and optimizers, tensors of
every kind, and programs that torch itself reads.

    GRAPHLAB_SLOW=1 pytest -n0 tests/slow/test_harmless.py

Each kind is a file beside this one, whose cases run in a plain process and in a watched one. It
takes some minutes, and needs ``expecttest``, which torch's databases import. Skipped unless
GRAPHLAB_SLOW=1. Its counts are printed whatever becomes of it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import graphlab

MISSING = [name for name in ("expecttest", "numpy") if importlib.util.find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("GRAPHLAB_SLOW") != "1", reason="GRAPHLAB_SLOW=1 runs it"),
    pytest.mark.skipif(bool(MISSING), reason=f"torch's databases need {MISSING}"),
]

CHILD = Path(__file__).with_name("harmless.py")
# So many of the differences are shown.
SHOWN = 20
# How many names and cases there are at least: a sweep that shrinks proves less.
KINDS = {
    "capturing": (80, 160),
    "optimizers": (14, 600),
    "modules": (100, 1500),
    "subclasses": (30, 500),
}

HOOKS = "the graph is broken at the session's hooks around a step, as by any other such hook"
OBJECTS = "in-place functions are other objects while a session is open, and so is what names them"
AGAIN = "a region that calls them is compiled once more: " + OBJECTS
SWAPPED = "the observer's weak references keep torch from swapping what a parameter holds"
# Differences that are known, and why they are there: (kind, cases, what may differ, reason).
KNOWN = (
    ("capturing", "(whole step|optimizer), read during", "values raised frames", HOOKS),
    ("optimizers", "moved", "raised frames values random", SWAPPED),
    ("subclasses", ", moved", "raised frames values random", SWAPPED),
    ("subclasses", "Uninitialized.*, (written|assigned)", "raised frames", OBJECTS),
    ("subclasses", "(listening|hidden), compiled", "values warned", AGAIN),
)

Records = dict[str, dict[str, Any]]


def sweep(kind: str, how: str, folder: Path) -> Records:
    path = [str(Path(graphlab.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    changes = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / how),
    }
    child = subprocess.run(
        [sys.executable, str(CHILD), how, kind], env={**os.environ, **changes},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-4000:]
    records = [json.loads(line) for line in child.stdout.splitlines()]
    found = {f"{each['name']}, {each['case']}": each for each in records}
    # No name stands for two.
    assert len(found) == len(records)
    return found


def differences(plain: Records, watched: Records) -> dict[str, dict[str, str]]:
    """The cases that came out differently, and in what."""
    assert plain.keys() == watched.keys()
    found: dict[str, dict[str, str]] = {}
    for case, record in plain.items():
        other = watched[case]
        changed = {
            key: f"{was} became {other['outcome'][key]}"
            for key, was in record["outcome"].items()
            if was != other["outcome"][key]
        }
        left = set(other["left"]) - set(record["left"])
        own = [each for each in other["notices"] if "observer failed" in each]
        changed |= {"left behind": str(left)} if left else {}
        changed |= {"notices": str(own)} if own else {}
        if changed:
            found[case] = changed
    return found


def reason(kind: str, case: str, changed: dict[str, str]) -> str | None:
    for of, cases, what, why in KNOWN:
        if of == kind and re.search(cases, case) and changed.keys() <= set(what.split()):
            return why
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_watched_runs_as_it_would_unwatched(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, watched = (sweep(kind, how, tmp_path) for how in ("plain", "watched"))
    found = differences(plain, watched)
    reasons = {case: reason(kind, case, changed) for case, changed in found.items()}
    names = {record["name"] for record in plain.values()}
    unexplained = [f"{case}: {found[case]}" for case, why in reasons.items() if why is None]
    with capsys.disabled():
        print(f"\ntorch {torch.__version__}: {len(names)} {kind}, {len(plain)} cases")
        raised = sum(record["outcome"]["raised"] is not None for record in plain.values())
        print(f"  raise: {raised}")
        print(f"  differ, watched from plain: {len(found)}")
        for why in sorted({why for why in reasons.values() if why}):
            print(f"    {[*reasons.values()].count(why)}: {why}")
        print(f"  differ for no known reason: {len(unexplained)}")
    fewest_names, fewest_cases = KINDS[kind]
    assert len(names) >= fewest_names and len(plain) >= fewest_cases
    shown = [f"{len(unexplained)} in all", *(each[:600] for each in unexplained[:SHOWN])]
    assert not unexplained, "\n".join(shown)
