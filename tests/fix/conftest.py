"""What the tests of `graphlab fix` share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Fix = Callable[[str], tuple[int, str, list[str]]]


@pytest.fixture
def fix(command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fix:
    """``fix(text)``: applies what is proved to a program; the exit code, the program as it is then,
    and the verdict on each candidate."""
    monkeypatch.chdir(tmp_path)

    def run(text: str) -> tuple[int, str, list[str]]:
        (tmp_path / "train.py").write_text(text)
        done = command("fix", "train.py", "--apply", "--json", "r.json")
        report = json.loads((tmp_path / "r.json").read_text())
        verdicts = [each["verdict"] for each in report["candidates"]]
        return done.returncode, (tmp_path / "train.py").read_text(), verdicts

    return run
