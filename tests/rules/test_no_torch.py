"""Reading a Trace, judging it and telling of it takes no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.rules.cases import TRACES

SCRIPT = """
import sys
from pathlib import Path
from graphlab.commands import explain, list
from graphlab.rules.registry import find
from graphlab.trace.report import report
from graphlab.trace.store import loads
from graphlab.views import console
from graphlab.views.terminal import report as terminal
from graphlab.views.player import page
for path in Path(sys.argv[1]).glob("*.json"):
    trace = loads(path.read_text(encoding="utf-8"))
    findings = find(trace)
    assert console.text(terminal.full(trace, findings, []))
    assert report(trace, findings)
print(sorted({"torch", "numpy", "graphlab.observe"} & sys.modules.keys()))
"""


def test_nothing_imports_it(python: Any, tmp_path: Path) -> None:
    done = python("-c", SCRIPT, str(TRACES))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
