"""What is saved and typed, in the order in which it happens."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from pathlib import Path

import pytest

from graphlab.learn.saves import events


def test_what_happens_before_it_is_asked_for_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A student saves while the first answer is still worked out."""
    pytest.importorskip("watchfiles")
    read, write = os.pipe()
    with os.fdopen(read) as typed, os.fdopen(write, "w") as keys:
        monkeypatch.setattr(sys, "stdin", typed)
        happened = events(tmp_path)
        # The watch begins in a thread of its own; the last of these saves comes after that.
        for number in range(20):
            (tmp_path / "train.py").write_text(f"x = {number}\n", encoding="utf-8")
            time.sleep(0.1)
        keys.write("h\n")
        keys.close()
        told: queue.SimpleQueue[Path | str | None] = queue.SimpleQueue()

        def ask() -> None:
            for what in happened:
                told.put(what)
            told.put(None)

        threading.Thread(target=ask, daemon=True).start()
        found = [told.get(timeout=20)]
        while found[-1] is not None:
            found.append(told.get(timeout=20))
    assert {each.name for each in found if isinstance(each, Path)} == {"train.py"}
    assert [each for each in found if isinstance(each, str)] == ["h"]
