"""What takes no torch imports none: help and refusals, and all that is said of a saved trace."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from graphlab import catalogue
from tests.rules.cases import TRACES

# One interpreter for all of them: whoever imported something heavy would be the first.
PROBE = """
import contextlib, io, json, runpy, sys
told = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["graphlab", *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_module("graphlab", run_name="__main__")
        except SystemExit as done:
            code = done.code
    heavy = {name.partition(".")[0] for name in sys.modules} & {"torch", "numpy", "IPython"}
    told.append([code, out.getvalue(), err.getvalue(), sorted(heavy)])
print(json.dumps(told))
"""
ANSWERED = [
    ("--help",), ("-h",), ("--version",), ("list",), ("explain",), ("explain", "GL001"),
    ("explain", "stale-saved-tensor"), ("run", "--help"), ("check", "--help"),
    ("render", "--help"), ("compare", "--help"),
]  # fmt: skip
REFUSED = [
    ("run", "naiv"), ("compare", "naiv"), ("compare", "naive", "--figure", "f.png"),
    ("explain", "GL999"), ("run", "nowhere.py"), ("check", "naiv"), (),
]  # fmt: skip


def test_what_needs_no_torch_imports_none(python: Any) -> None:
    done = python("-c", PROBE, json.dumps([*ANSWERED, *REFUSED]))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    for words, (code, out, err, heavy) in zip([*ANSWERED, *REFUSED], told, strict=True):
        assert heavy == [], words
        assert "Traceback" not in err
        assert words not in ANSWERED or (code == 0 and out), words
        if "--help" in words or "-h" in words:
            assert err == "" and out.startswith("Usage: ")
            assert "\x1b" not in out
            assert all(cell_len(line) <= 80 for line in out.splitlines())


JUDGE = """
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


def test_judging_a_trace_and_telling_of_it_imports_none(python: Any, tmp_path: Path) -> None:
    done = python("-c", JUDGE, str(TRACES))
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_a_saved_trace_says_all_that_the_run_said(
    command: Any, python: Any, tmp_path: Path
) -> None:
    """The report, its JSON and the player, when the script is gone and there is no torch."""
    shutil.copy(catalogue.scenario("naive").path, tmp_path / "train.py")
    outputs = ("--explain", "--json", "r.json", "--html", "p.html")
    words = (*outputs, "--trace", "t.json", "--", "--steps", "2", "--device", "cpu")
    ran = command("run", "train.py", *words)
    assert ran.returncode == 1
    written = [(tmp_path / name).read_text(encoding="utf-8") for name in ("r.json", "p.html")]
    (tmp_path / "train.py").unlink()
    (tmp_path / "torch.py").write_text("raise ImportError('there is no torch here')\n")
    shown = python("-m", "graphlab", "run", "--from", "t.json", *outputs, "--force")
    assert (shown.returncode, shown.stderr) == (0, "\nthe player: p.html\n")
    assert shown.stdout == ran.stdout[ran.stdout.index("✗") :]
    report, page = ((tmp_path / name).read_text(encoding="utf-8") for name in ("r.json", "p.html"))
    assert json.loads(report) == json.loads(written[0])
    assert page == written[1]
