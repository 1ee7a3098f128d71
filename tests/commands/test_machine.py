"""--format and --sarif: what a CI run reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

Main = Callable[..., tuple[int, str, str]]
PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
BAD = '''"""Gradients add up.

expect: EXPECTED
"""

import torch

net = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for _ in range(4):
    loss = net(torch.ones(1, 2)).sum()
    loss.backward()
    optimizer.step()
print("mine")
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(BAD.replace("EXPECTED", "clean"), encoding="utf-8")
    return path


def test_annotations_stand_in_place_of_the_report(main: Main, script: Path) -> None:
    code, out, _ = main("run", "train.py", "--format", "github", "--strict")
    mine, between, told = out.splitlines()
    assert code == 1 and (mine, between) == ("mine", "")
    place = "file=train.py,line=13,col=5,endColumn=21"
    assert told.startswith(f"::warning {place},title=GL102 leftover-gradients::optimizer.step()")


def test_the_pages_matcher_matches_lines(main: Main, script: Path) -> None:
    found = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    (pattern,) = json.loads(found[1])["problemMatcher"][0]["pattern"]
    _, out, _ = main("run", "train.py", "--format", "lines")
    matched = re.match(pattern["regexp"], out.splitlines()[-1])
    assert matched is not None
    parts = {name: matched[pattern[name]] for name in pattern if name != "regexp"}
    assert parts.pop("message")
    assert parts == {
        "file": "train.py", "line": "13", "column": "5", "severity": "warning", "code": "GL102",
    }  # fmt: skip


def test_sarif_is_written_beside_the_report(main: Main, script: Path, tmp_path: Path) -> None:
    code, out, _ = main("run", "train.py", "--sarif", "found.sarif")
    assert code == 0 and "warning[GL102]" in out
    (run,) = json.loads((tmp_path / "found.sarif").read_text(encoding="utf-8"))["runs"]
    (result,) = run["results"]
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "train.py"
    assert physical["region"]["startLine"] == 13
    _, out, err = main("run", "train.py", "--sarif", "-", "--format", "lines")
    assert json.loads(out.removeprefix("mine\n"))["version"] == "2.1.0" and "GL102" in err


def test_an_unknown_format_is_refused_before_anything_runs(main: Main, script: Path) -> None:
    for verb in ("run", "check"):
        code, out, err = main(verb, "train.py", "--format", "xml")
        assert code == 2 and out == "" and "no format xml" in err and "github" in err


def test_check_annotates_what_it_did_not_expect(main: Main, script: Path) -> None:
    code, out, _ = main("check", "train.py", "--format", "github")
    assert code == 1 and out.count("::warning file=train.py,line=13") == 1
    expected = BAD.replace("EXPECTED", "GL102 at `optimizer.step()`")
    script.write_text(expected, encoding="utf-8")
    code, out, _ = main("check", "train.py", "--format", "github")
    assert code == 0 and "::" not in out
