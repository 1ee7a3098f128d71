"""Right programs as they are written for a GPU: no finding, and the output and exit code of a run
that is not watched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
PROGRAMS = sorted((Path(__file__).parent / "right").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_nothing_is_said_and_nothing_changed(
    path: Path, python: Callable[..., Any], tmp_path: Path
) -> None:
    plain = python(str(path))
    assert plain.returncode == 0, plain.stderr
    watched = python("-m", "graphlab", "run", "--json", "report.json", str(path))
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert watched.stdout.startswith(plain.stdout)
    found = json.loads((tmp_path / "report.json").read_text())
    assert [each for each in found["findings"] if each["severity"] != "info"] == []
    assert found["unseen"] == []
