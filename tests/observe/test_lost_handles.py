"""Calls of torch.distributed that run on, of which a loop keeps the last one's handle alone."""

from __future__ import annotations

import linecache
from pathlib import Path

import pytest

from graphlab.observe.sightings.ranks.places import handle_lost
from graphlab.source.places import line_place

LOST = "for p in ps:\n    work = send(p)\nwork.wait()\n"


@pytest.mark.parametrize(
    ("source", "lost"),
    [
        pytest.param(LOST, True, id="only the last"),
        pytest.param("for p in ps:\n    work = send(p)\n    work.wait()\n", False, id="each"),
        pytest.param("for p in ps:\n    work = send(p)\n    all.append(work)\n", False, id="kept"),
        pytest.param("x = 1\nwork = send(x)\nwork.wait()\n", False, id="no loop"),
    ],
)
def test_handles_of_which_the_last_one_is_read(source: str, lost: bool, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text(source)
    linecache.checkcache(str(path))
    assert handle_lost(line_place(str(path), 2)) is lost
