"""The console script in this process, as most tests of a command use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def main(
    command: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """``main(*words)``: that in `tmp_path`: (code, out, err). The test is in that folder too."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        done = command(*words)
        return done.returncode, done.stdout, done.stderr

    return run
