"""The map in docs/architecture.md is what tools/make_map.py makes of the modules as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "make_map.py"))


def test_the_map_is_fresh() -> None:
    assert TOOL["main"](["--check"]) == 0, "run python tools/make_map.py"


def test_a_stale_map_is_made_anew() -> None:
    page = f"before\n{TOOL['BEGIN']}\n| `gone.py` | nothing |\n{TOOL['END']}\nafter\n"
    new = TOOL["made"](page)
    assert new.startswith("before\n") and new.endswith("\nafter\n")
    assert "gone.py" not in new
    assert "| `trace/model.py` | The Trace: everything a run leaves behind" in new
    assert TOOL["made"](new) == new


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""One thing. Another."""', "One thing."),
        ('"""One of\ntwo lines, `x.y` and f(). More."""', "One of two lines, `x.y` and f()."),
        ('"""First.\n\nSecond."""', "First."),
        ("x = 1", ""),
    ],
)  # fmt: skip
def test_a_modules_line_is_its_docstrings_first_sentence(
    source: str, line: str, tmp_path: Path
) -> None:
    module = tmp_path / "module.py"
    module.write_text(source, encoding="utf-8")
    assert TOOL["told"](module) == line


def test_wrong_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert TOOL["main"](["--chek"]) == 2
    assert "make_map.py --check" in capsys.readouterr().out
