"""The examples of the rule pages are tests: the bad one raises its code, the good one is clean."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.rules.registry import RULES, find
from tests.alone import alone

PAGES = Path(__file__).resolve().parents[2] / "docs" / "rules"


def findings(page: str, section: str, folder: Path) -> list[tuple[str, str]]:
    found = re.search(rf"## {section}\n.*?```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    script = folder / "page.py"
    script.write_text(found[1])
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), alone():
        ran = program.run(program.script(str(script)), [], "page")
    assert ran.trace.unseen == ()
    return [(each.code, each.severity) for each in find(ran.trace)]


# Those of several ranks are run by tests/programs/test_ranks.py.
ALONE = [each for each in RULES if each.code < "GL300"]


@pytest.mark.parametrize("code", [each.code for each in ALONE if each.severity != "info"])
def test_bad_example_has_its_code_and_no_other(code: str, tmp_path: Path) -> None:
    page = (PAGES / f"{code}.md").read_text()
    told = [each for each, severity in findings(page, "Example", tmp_path) if severity != "info"]
    assert told == [code]


@pytest.mark.parametrize("code", [each.code for each in ALONE])
def test_good_example_is_clean(code: str, tmp_path: Path) -> None:
    page = (PAGES / f"{code}.md").read_text()
    told = findings(page, "Use instead", tmp_path)
    assert [each for each in told if each[1] != "info"] == []
