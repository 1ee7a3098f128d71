"""The corpus: scripts as strangers write them, run under observation and held against the truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs.truth import CORPUS, hold

SCRIPTS = sorted(CORPUS.glob("*/*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_exact(path: Path) -> None:
    hold(path)
