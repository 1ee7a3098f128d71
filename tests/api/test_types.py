"""What a user's type checker and completion see of graphlab: the public API, and nothing inside."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import graphlab

ROOT = Path(graphlab.__file__).parents[1]
# A user's program, and what pyright is to reveal in it, line by line.
PROGRAM = """\
import torch
import graphlab

with graphlab.watch(film=True) as session:
    loss = torch.ones(2, requires_grad=True).sum()
    loss.backward()

reveal_type(session)
reveal_type(session.findings)
reveal_type(session.findings[0].code)
reveal_type(session.trace)
reveal_type(session.assert_clean(allow=["GL108"]))
reveal_type(session.player())
reveal_type(session.save_html("run.html"))
reveal_type(graphlab.explain(RuntimeError()))
reveal_type(graphlab.explain(RuntimeError()).findings)
reveal_type(graphlab.render(loss))
reveal_type(graphlab.render(loss, level="op").save("loss.svg"))
reveal_type(graphlab.__version__)
"""
TYPES = [
    "Session",
    "list[Finding]",
    "str",
    "Trace",
    "None",
    "Player",
    "str",
    "Explanation",
    "tuple[Finding, ...]",
    "Figure",
    "str",
    "str",
]


def checked(folder: Path, program: str) -> list[dict[str, str]]:
    """What pyright says of the program: its severities and messages."""
    if find_spec("pyright") is None:
        pytest.skip("pyright is not installed (extra dev)")
    (folder / "program.py").write_text(program)
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    words = ["--pythonpath", sys.executable, "--outputjson", "program.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", *words], cwd=folder, capture_output=True, text=True
    )
    try:
        return json.loads(ran.stdout)["generalDiagnostics"]
    except ValueError:
        pytest.skip(f"pyright does not run here: {(ran.stderr or ran.stdout).strip()[:200]}")


def test_a_type_checker_sees_the_public_types(tmp_path: Path) -> None:
    said = checked(tmp_path, PROGRAM)
    assert [each["message"] for each in said if each["severity"] == "error"] == []
    revealed = [each["message"] for each in said if each["severity"] == "information"]
    assert [each.rpartition(" is ")[2].strip('"') for each in revealed] == TYPES


def test_a_type_checker_refuses_what_there_is_none_of(tmp_path: Path) -> None:
    wrong = (
        "import torch, graphlab\n"
        "graphlab.render(torch.ones(1), level='modules')\n"
        "graphlab.watch().feed\n"
    )
    said = checked(tmp_path, wrong)
    errors = [each["message"] for each in said if each["severity"] == "error"]
    assert any("'modules'" in each or '"modules"' in each for each in errors)
    assert any("feed" in each for each in errors)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(graphlab.__file__).parent / "py.typed").is_file()


def test_a_session_shows_what_a_user_may_ask() -> None:
    asserts = {
        "assert_clean",
        "assert_finite",
        "assert_graph_constant",
        "assert_isolated",
        "assert_no_wasted_gradients",
        "assert_not_reaches",
        "assert_reaches",
        "assert_touches",
        "assert_touches_only",
    }
    shown = {name for name in dir(graphlab.watch()) if not name.startswith("_")}
    assert shown == asserts | {
        "findings", "number", "player", "save_html", "start", "stop", "trace",
    }  # fmt: skip
